"""Images beside the ordinary one, for scenarios that need more than every machine should carry.

A scenario asks for one with `IMAGE = 'name'`. Each has a hash of its own: adding to one changes no other.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Flavour:
    """What an image has more than the ordinary one, and the machine it wants."""

    packages: tuple = ()
    requirements: str = ''
    services: tuple = ()
    disk_size: str = '3G'
    memory_mb: int = 2048


ORDINARY = Flavour()
FLAVOURS = {
    # One monitor and one OSD that keeps its objects in memory; both the kernel's client and librbd's.
    'ceph': Flavour(packages=('ceph-mon', 'ceph-osd', 'ceph-common', 'python3-rados', 'python3-rbd'),
                    disk_size='5G', memory_mb=4096),
    # The services' own code, each with a user and its rootwrap.  netifaces has no wheel for this Python.
    'consumers': Flavour(packages=('python3-netifaces',), requirements='requirements-consumers.txt',
                         services=('nova', 'cinder', 'glance'), disk_size='4G', memory_mb=3072),
    # What our package has as extras: for the command on a terminal, and for the verification service.
    'extras': Flavour(requirements='requirements-extras.txt'),
    # Debian's own Cinder with all its services.  The first word is a hook of apt's: no database is to be made, and the
    # package, which asks for the address of this host, must get an answer where there is no route.
    'cinder': Flavour(packages=('-oDPkg::Pre-Invoke::=echo cinder-common cinder/configure_db boolean false'
                                ' | debconf-set-selections; echo "127.0.0.1 $(hostname)" >>/etc/hosts',
                                'cinder-api', 'cinder-scheduler', 'cinder-volume', 'cinder-backup', 'python3-cinderclient',
                                'rabbitmq-server', 'targetcli-fb', 'qemu-utils', 'thin-provisioning-tools', 'dbus'),
                      disk_size='5G', memory_mb=6144),
}


def find(name):
    """The flavour of that name; the ordinary one without a name."""
    if not name:
        return ORDINARY
    if name not in FLAVOURS:
        raise SystemExit(f'there is no image {name}: {", ".join(sorted(FLAVOURS))}')
    return FLAVOURS[name]

"""The kernel's NFS server in the same guest, for version 4 alone or without it. What must not live here: any mount.

The shares lie on the root disk: in memory they would have no identity of their own, which version 4 wants.
"""

from pathlib import Path
import shutil

from guest import command, daemons, host

EXPORTS = Path('/srv/lab-nfs')
KERNEL = Path('/proc/fs/nfsd')
ADDRESS = '127.0.0.1'
GRACE_SECONDS = '10'


class Server:
    def __init__(self, version=4):
        """Serve version 4, or 3 and nothing newer."""
        command.run('modprobe', 'nfsd')
        if not (KERNEL / 'threads').exists():
            command.run('mount', '-t', 'nfsd', 'nfsd', KERNEL)
        EXPORTS.mkdir(parents=True, exist_ok=True)
        daemons.start('rpcbind')
        command.run('rpc.nfsd', '--no-nfs-version', '3' if version == 4 else '4', '--grace-time', GRACE_SECONDS,
                    '--lease-time', GRACE_SECONDS, '2', seconds=60)
        daemons.start('rpc.mountd')
        if version == 4:
            # No client from before will come back, so nobody has to wait for one.
            (KERNEL / 'v4_end_grace').write_text('Y')

    def export(self, name):
        """A new directory that any host may mount; returns the share."""
        directory = EXPORTS / name
        directory.mkdir()
        command.run('exportfs', '-o', 'rw,no_root_squash,insecure,no_subtree_check', f'*:{directory}')
        return f'{ADDRESS}:{directory}'

    def stop(self):
        remove_everything()


def remove_everything():
    """Unmount what is mounted, stop the server, forget the shares."""
    for _share, path, _options in host.network_mounts():
        command.run('umount', '-f', '-l', path, check=False)
    if not EXPORTS.exists():
        return
    command.run('exportfs', '-ua', check=False)
    command.run('rpc.nfsd', '0', check=False, seconds=60)
    for name in ('rpc.mountd', 'rpcbind'):
        daemons.stop(name)
    shutil.rmtree(EXPORTS, ignore_errors=True)

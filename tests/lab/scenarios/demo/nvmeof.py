"""`make demo TRANSPORT=nvme`: one namespace over two portals, attached, used, cut, extended, detached; then by upstream."""

MODES = ('nova',)
PACKAGES = ('ours',)
BENCH = True
SECONDS = 120
TIMEOUT = 900

from guest import demonstration

PORTALS = 2


def run(lab):
    subsystem = lab.nvmet.create(portals=PORTALS, size=f'{demonstration.SIZE}M')
    namespace = subsystem.namespaces[1]
    lab.show(f'\nA subsystem with two portals (TCP) offers namespace 1, a volume of {demonstration.SIZE} MiB:\n'
             f'  {subsystem.nqn}\n  ' + ', '.join(f'{address}:4420' for address in subsystem.addresses))
    shown = demonstration.Demonstration(lab, 'NVMEOF', subsystem.properties())
    shown.host_properties()
    info = shown.attach()
    lab.equal('a controller per portal', lab.host.nvme_portals(subsystem.nqn), subsystem.addresses)
    tree(lab, subsystem, info['path'])
    lab.check_right_namespace('volume', info['path'], namespace)
    dark = first_portal(lab, subsystem)
    shown.survive(info['path'], f'portal {dark}:4420 goes dark', lambda: subsystem.black_hole(dark),
                  lambda: subsystem.restore(dark), lambda: dark not in lab.host.nvme_portals(subsystem.nqn))
    lab.eventually('the portal is back', lambda: whole(lab, subsystem), 120)
    shown.extend(namespace)
    shown.detach(info)
    shown.beside(lambda: whole(lab, subsystem))


def whole(lab, subsystem):
    return lab.host.nvme_portals(subsystem.nqn) == subsystem.addresses


def tree(lab, subsystem, device):
    controllers = lab.host.nvme_controllers(subsystem.nqn)
    demonstration.branches(lab, lab.host.nvme_uuid(device), f'{device}  namespace of {subsystem.nqn}', [
        f"{name}  controller over tcp {each['portal']}:4420  {each['state']}" for name, each in sorted(controllers.items())])


def first_portal(lab, subsystem):
    """The portal that was connected first: of equal paths the kernel uses the one it found first, until it fails."""
    return min(lab.host.nvme_controllers(subsystem.nqn).items())[1]['portal']

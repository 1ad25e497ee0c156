"""The caller is killed with SIGKILL at many moments of an attach; attaching and detaching again cleans the host."""

import time

MODES = ('nova',)
SECONDS = 60
UPSTREAM_LEAVES = 'what the killed attach had done'
MOMENTS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)


def run(lab):
    subsystem = lab.nvmet.create(portals=2)
    namespace, properties = subsystem.namespaces[1], subsystem.properties()
    again = lab.caller().connector('NVME', use_multipath=True)
    for turn, moment in enumerate(MOMENTS):
        caller = lab.caller()
        caller.connector('NVME', use_multipath=True).start('connect_volume', properties)
        time.sleep(moment)
        caller.kill(helpers=turn % 2 == 0)
        name = f'killed after {moment} s'
        info = lab.attach(again, properties, f'{name}: connect again')
        lab.check_right_namespace(name, info['path'], namespace)
        lab.equal(f'{name}: controllers', lab.host.nvme_portals(subsystem.nqn), subsystem.addresses)
        lab.detach(again, properties, info, f'{name}: disconnect')
        lab.equal(f'{name}: no controller', lab.host.nvme_controllers(), {})

"""One namespace over one portal, in both formats of properties: attach, I/O, detach with everything gone."""

LEDGER = ('NV-04', 'NV-07', 'NV-17', 'NV-18', 'NV-22', 'NV-23')
SECONDS = 30


def run(lab):
    subsystem = lab.nvmet.create(portals=1)
    namespace = subsystem.namespaces[1]
    connector = lab.caller().connector('NVME')
    for name, properties in (('new format', subsystem.properties()), ('old format', subsystem.old_properties())):
        info = lab.attach(connector, dict(properties), f'{name}: connect')
        lab.check_right_namespace(name, info['path'], namespace)
        controllers = lab.host.nvme_controllers(subsystem.nqn)
        lab.equal(f'{name}: one controller', [each['state'] for each in controllers.values()], ['live'])
        for controller in controllers:
            lab.equal(f'{name}: it is never given up',
                      lab.host.read(f'/sys/class/nvme-fabrics/ctl/{controller}/ctrl_loss_tmo'), 'off')
        lab.detach(connector, dict(properties), info, f'{name}: disconnect')
        lab.equal(f'{name}: no controller right after the detach', lab.host.nvme_controllers(), {})

"""One volume, two callers: the same device for both, one header, and nothing is left when both have detached."""

import os

from guest import encryption

LEDGER = ('EN-12',)
VARIANTS = ('encrypted', 'open_data')
MODES = ('nova',)
SECONDS = 60
UPSTREAM_FAILS = 'two first attaches format twice'


def run(lab):
    target = lab.targets.create(portals=2)
    disk = target.luns[1]
    properties = target.properties(1, encrypted=lab.variant == 'encrypted')
    callers = [lab.caller(), lab.caller()]
    connectors = [caller.connector('ISCSI', use_multipath=True) for caller in callers]
    pending = [connector.start('connect_volume', properties) for connector in connectors]
    infos = [answer.wait().value for answer in pending]
    lab.equal('both have the same device', infos[0], infos[1])
    path = infos[0]['path']
    device = os.path.basename(os.path.realpath(path))
    lab.check_paths('attached', disk, 2)
    if lab.variant == 'encrypted':
        encrypted(lab, callers, properties, infos[0], device, disk)
    else:
        lab.check_right_disk('attached', path, disk)
    # Services ask who else uses a volume before they detach; here both just do.
    for connector in connectors:
        lab.detach(connector, properties, infos[0])
    lab.equal('no device', lab.host.scsi_devices(), {})
    lab.equal('no dm device', lab.host.dm_devices(), {})
    lab.equal('no session', lab.host.sessions(), {})


def encrypted(lab, callers, properties, info, device, disk):
    encryptors = [encryption.Encryptor(caller, 'luks', properties, info) for caller in callers]
    pending = [encryptor.start_attach() for encryptor in encryptors]
    errors = [error for error in (attach.error() for attach in pending) if error]
    lab.check('one of them opened it', len(errors) < 2, errors)
    lab.check('the other one too, or it is in use',
              all(error.attributes.get('exit_code') == '5' for error in errors), errors)
    lab.equal('there is one mapping', encryption.mappings(), {encryptors[0].mapping: [device]})
    lab.flow.write_pattern(info['path'], disk.serial)
    user = os.open(info['path'], os.O_RDWR)
    lab.raises('nobody closes it under its user', encryptors[1].start_detach(), 'ProcessExecutionError')
    os.close(user)
    encryptors[0].detach()
    encryptors[1].detach()
    lab.equal('no mapping', encryption.mappings(), {})
    # The header on the volume is the one its data was written with.
    encryptors[1].attach()
    lab.check('the data is there', lab.flow.holds_pattern(info['path'], disk.serial))
    encryptors[1].detach()

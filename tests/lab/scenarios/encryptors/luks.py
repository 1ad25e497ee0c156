"""An encrypted volume's life: formatted at its first attach, opened, extended, refused to a wrong key, gone without a trace.

`multipath` is LUKS1 over a map. The plain format has no header: nothing to format, and no key is wrong.
"""

import os

from guest import encryption

LEDGER = ('EN-01', 'EN-03', 'EN-08', 'EN-09', 'EN-10', 'EN-12', 'EN-13')
VARIANTS = ('luks1', 'luks2', 'plain', 'multipath')
# Without it multipathd claims the single disk, and cryptsetup wants it for itself.
MULTIPATH = {'find_multipaths': 'yes'}
SECONDS = 120
TIMEOUT = 600
UPSTREAM_LEAVES = 'the line in the wwids file'
PROVIDERS = {'luks1': 'luks', 'luks2': 'luks2', 'plain': 'plain', 'multipath': 'luks'}
MEBIBYTE = 1 << 20


def run(lab):
    provider, multipath = PROVIDERS[lab.variant], lab.variant == 'multipath'
    target = lab.targets.create(portals=2 if multipath else 1, size='64M')
    disk, properties = target.luns[1], target.properties(1, plural=multipath, encrypted=True)
    caller = lab.caller()
    connector = caller.connector('ISCSI', use_multipath=multipath)

    first_attach(lab, caller, connector, provider, properties, disk)
    reopen_and_extend(lab, caller, connector, provider, properties, disk)
    if provider != 'plain':
        wrong_key(lab, caller, connector, provider, properties, disk)
    lab.equal('no mapping at the end', encryption.mappings(), {})
    for key in (encryption.KEY, encryption.OTHER_KEY):
        lab.check('no key in the logs', key not in caller.log_text())


def first_attach(lab, caller, connector, provider, properties, disk):
    info = lab.attach(connector, properties)
    device = os.path.realpath(info['path'])
    encryptor = encryption.Encryptor(caller, provider, properties, info)
    lab.measured('first attach of the encryptor', encryptor.attach().seconds)
    lab.equal('the mapping is over the device', encryption.mappings(), {encryptor.mapping: [os.path.basename(device)]})
    lab.equal('the link leads to it', os.readlink(info['path']), f'/dev/mapper/{encryptor.mapping}')
    version = {'luks': b'LUKS\xba\xbe\0\1', 'luks2': b'LUKS\xba\xbe\0\2', 'plain': bytes(8)}[provider]
    lab.equal('the header', disk.content(0, 8), version)
    lab.flow.write_pattern(info['path'], disk.serial)
    lab.check('written data read back', lab.flow.holds_pattern(info['path'], disk.serial))
    lab.check('the array holds no plain text', disk.serial.encode() not in disk.content(0, disk.size))
    close(lab, connector, encryptor, properties, info)
    lab.check('the link is gone', not os.path.lexists(info['path']))


def close(lab, connector, encryptor, properties, info):
    lab.measured('detach of the encryptor', encryptor.detach().seconds)
    lab.equal('no mapping', encryption.mappings(), {})
    encryptor.detach()  # a volume that is not open is as good
    lab.detach(connector, properties, info)


def reopen_and_extend(lab, caller, connector, provider, properties, disk):
    info = lab.attach(connector, properties, 'connect again')
    device = os.path.realpath(info['path'])
    encryptor = encryption.Encryptor(caller, provider, properties, info)
    encryptor.attach()
    lab.check('the data is there', lab.flow.holds_pattern(info['path'], disk.serial))
    before = lab.host.size_of(info['path'])
    disk.grow('96M')
    answer = connector.extend_volume({**properties, 'device_path': info['path']})
    lab.equal('the device has its new size', (answer.value, lab.host.size_of(device)), (disk.size, disk.size))
    pending = encryptor.start_extend()
    if provider == 'plain':
        lab.raises('a plain volume cannot grow', pending, 'NotImplementedError')
    else:
        size = pending.wait().value
        lab.equal('the size of the mapping is returned', size, lab.host.size_of(info['path']))
        lab.equal('it has grown as much as the device', size - before, 32 * MEBIBYTE)
        lab.flow.write_pattern(info['path'], 'grown', offset=size - MEBIBYTE)
        lab.check('the new end can be used', lab.flow.holds_pattern(info['path'], 'grown', offset=size - MEBIBYTE))
    lab.check('the data is still there', lab.flow.holds_pattern(info['path'], disk.serial))
    close(lab, connector, encryptor, properties, info)


def wrong_key(lab, caller, connector, provider, properties, disk):
    info = lab.attach(connector, properties, 'connect for the wrong key')
    before = disk.content(0, disk.size)
    other = encryption.Encryptor(caller, provider, properties, info, encryption.OTHER_KEY)
    error = lab.raises('a wrong key', other.start_attach(), 'ProcessExecutionError')
    if error:
        lab.equal('cryptsetup says why', error.attributes['exit_code'], '2')
        lab.check('the error says it too', 'No key available with this passphrase' in error.message, error.message)
        lab.check('the key is not in the error', encryption.OTHER_KEY not in error.repr + error.message)
    lab.equal('no mapping after the wrong key', encryption.mappings(), {})
    lab.check('the volume is as it was', disk.content(0, disk.size) == before)
    right = encryption.Encryptor(caller, provider, properties, info)
    right.attach()
    lab.check('the right key finds the data', lab.flow.holds_pattern(info['path'], disk.serial))
    close(lab, connector, right, properties, info)

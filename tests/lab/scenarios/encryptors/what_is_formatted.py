"""What a LUKS encryptor formats: only a volume that can be read and was never used; see docs/decisions/0008.

`remains` looks like a new volume of thick LVM and is formatted. `twice` is a volume that is open already.
"""

import os

from guest import command, encryption

LEDGER = ('EN-12',)
VARIANTS = ('ext4', 'unknown', 'bad_front', 'bad_end', 'remains', 'twice')
# Without it multipathd claims the single disk, and cryptsetup wants it for itself.
MULTIPATH = {'find_multipaths': 'yes'}
MODES = ('nova',)
SECONDS = 60
UPSTREAM_FAILS = 'formats what is there'
MEBIBYTE = 1 << 20
BAD = 'lab-bad'


def run(lab):
    target = lab.targets.create()
    disk, properties = target.luns[1], target.properties(1, plural=False, encrypted=True)
    caller = lab.caller()
    connector = caller.connector('ISCSI')
    info = lab.attach(connector, properties)
    device = os.path.realpath(info['path'])
    if lab.variant == 'twice':
        open_twice(lab, caller, properties, info, device, disk)
    elif lab.variant == 'remains':
        lab.flow.write_pattern(device, 'deleted', offset=4096, blocks=512)
        encryptor = encryption.Encryptor(caller, 'luks', properties, info)
        encryptor.attach()
        lab.equal('it is open', encryption.mappings(), {encryptor.mapping: [os.path.basename(device)]})
        encryptor.detach()
    else:
        refused(lab, caller, properties, info, device, disk)
    lab.equal('no mapping', encryption.mappings(), {})
    lab.detach(connector, properties, info)


def refused(lab, caller, properties, info, device, disk):
    reason = prepare(lab, info['path'], device)
    before = disk.content(0, disk.size)
    encryptor = encryption.Encryptor(caller, 'luks', properties, info)
    for name, pending in (('attach', encryptor.start_attach()), ('what Nova calls', encryptor.start_format())):
        error = lab.raises(f'{name} refuses', pending, 'BrickException', 'ProcessExecutionError')
        if error:
            lab.check(f'{name} says why', any(text in error.message for text in reason), error.message)
    lab.equal('no mapping is made', encryption.mappings(), {})
    lab.check('the volume is as it was', disk.content(0, disk.size) == before)
    if lab.variant.startswith('bad'):
        os.unlink(info['path'])
        os.symlink(device, info['path'])
        command.run('dmsetup', 'remove', '--retry', BAD)


def prepare(lab, link, device):
    """Put something on the volume, or let parts of it fail; returns texts of which the error has one."""
    if lab.variant == 'ext4':
        command.run('mkfs.ext4', '-q', device, seconds=60)
        return ['it holds ext4']
    if lab.variant == 'unknown':
        lab.flow.write_pattern(device, 'a database')
        return ['it begins with data of an unknown format']
    sectors = lab.host.size_of(device) // 512
    bad = range(0, 2048) if lab.variant == 'bad_front' else range(sectors - 2048, sectors)
    good = range(2048, sectors) if lab.variant == 'bad_front' else range(0, sectors - 2048)
    table = sorted([(bad.start, f'{bad.start} {len(bad)} error'),
                    (good.start, f'{good.start} {len(good)} linear {device} {good.start}')])
    command.run('dmsetup', 'create', BAD, stdin=''.join(line + '\n' for _, line in table))
    os.unlink(link)
    os.symlink(f'/dev/mapper/{BAD}', link)
    return ['cannot be examined', 'cannot tell', 'luksOpen']


def open_twice(lab, caller, properties, info, device, disk):
    """The second one must not take the decrypted device for a volume without a header."""
    encryptor = encryption.Encryptor(caller, 'luks', properties, info)
    encryptor.attach()
    lab.flow.write_pattern(info['path'], disk.serial)
    user = os.open(info['path'], os.O_RDWR)
    error = lab.raises('a second attach', encryptor.start_attach(), 'ProcessExecutionError')
    os.close(user)
    if error:
        lab.equal('it is in use', error.attributes['exit_code'], '5')
    lab.check('the data is there', lab.flow.holds_pattern(info['path'], disk.serial))
    # Nobody uses it now, as after an attach that was killed: it is opened anew.
    encryptor.attach()
    lab.equal('it is open', encryption.mappings(), {encryptor.mapping: [os.path.basename(device)]})
    lab.check('the data is still there', lab.flow.holds_pattern(info['path'], disk.serial))
    encryptor.detach()

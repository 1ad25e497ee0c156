"""LVM for real: a group over two disks, volumes, snapshots, extension, activation, names, a thin pool.

All names hold dashes, which device-mapper doubles.
"""

import os

from guest import command, loop_disks

LEDGER = ('X-19', 'LV-02', 'LV-04', 'LV-05', 'LV-06', 'LV-07', 'LV-10', 'LV-11', 'LV-12', 'LV-13')
VARIANTS = ('thick', 'thin')
SECONDS = 90
UPSTREAM_FAILS = 'passes two disks to vgcreate as one argument'
LVM = 'os_brick.local_dev.lvm:LVM'
GROUP = 'lab-vg-1'
WRONG_NAMES = ('', '-x', '..', 'a/b', 'a b')
MIB = 1 << 20


def run(lab):
    disks = [loop_disks.LoopDisk(name, '512M') for name in ('a', 'b')]
    caller = lab.caller()
    try:
        missing = caller.start(LVM, GROUP, 'sudo')
        lab.raises('a group that does not exist', missing, 'VolumeGroupNotFound')
        made = caller.start(LVM, GROUP, 'sudo', keep=True, create_vg=True, physical_volumes=[disk.path for disk in disks])
        group = caller.remote(made.wait())
        lab.equal('both disks are in it', sorted(pv['name'] for pv in group.get('pv_list')),
                  sorted(disk.path for disk in disks))
        again = caller.start(LVM, GROUP, 'sudo', create_vg=True, physical_volumes=[disks[0].path])
        lab.raises('a group that exists', again, 'VolumeGroupCreationFailed')
        lab.check('the version', caller.call(LVM + '.get_lvm_version', 'sudo').value > (2, 2, 115))
        if lab.variant == 'thick':
            volumes(lab, group)
            snapshots(lab, group)
            names(lab, group)
        else:
            thin(lab)
        lab.equal('no volume is left', group.get_volumes().value, [])
        lab.equal('and no device', lab.host.dm_devices(), {})
    finally:
        command.run('vgremove', '-ff', '-y', GROUP, check=False)
        for disk in disks:
            command.run('pvremove', '-ff', '-y', disk.path, check=False)
            disk.remove()


def device(name):
    return f'/dev/{GROUP}/{name}'


def size_of(lab, name):
    return lab.host.size_of(device(name))


def volumes(lab, group):
    group.create_volume('volume-1-a', '64m')
    lab.equal('the volume', group.get_volume('volume-1-a').value,
              {'vg': GROUP, 'name': 'volume-1-a', 'size': '0.06'})
    lab.equal('its name in device-mapper', [found['name'] for found in lab.host.dm_devices().values()],
              ['lab--vg--1-volume--1--a'])
    group.extend_volume('volume-1-a', '128m')
    lab.equal('extended', size_of(lab, 'volume-1-a'), 128 * MIB)
    lab.flow.write_pattern(device('volume-1-a'), 'first')
    with open(device('volume-1-a'), 'rb'):
        lab.raises('deactivation of a volume in use', group.start('deactivate_lv', 'volume-1-a'),
                   'ProcessExecutionError')
        lab.raises('removal of a volume in use', group.start('delete', 'volume-1-a'), 'ProcessExecutionError')
    group.deactivate_lv('volume-1-a')
    lab.check('deactivated', not os.path.exists(device('volume-1-a')) and not lab.host.dm_devices())
    group.activate_lv('volume-1-a')
    lab.check('activated with its data', lab.flow.holds_pattern(device('volume-1-a'), 'first'))
    group.rename_volume('volume-1-a', 'volume-2-b')
    lab.check('renamed', os.path.exists(device('volume-2-b')) and not os.path.exists(device('volume-1-a')))
    lab.equal('the old name is gone', group.get_volume('volume-1-a').value, None)
    group.update_volume_group_info()
    lab.equal('volumes in the group', group.get('vg_lv_count'), 1)
    lab.check('sizes of the group', 0.8 < group.get('vg_free_space') < group.get('vg_size') < 1.0)


def snapshots(lab, group):
    """The origin is out of use while it is extended, and back afterwards."""
    group.create_lv_snapshot('snap-1', 'volume-2-b')
    lab.equal('an origin and a snapshot', [group.lv_has_snapshot(name).value for name in ('volume-2-b', 'snap-1')],
              [True, False])
    group.activate_lv('snap-1', is_snapshot=True)
    lab.flow.write_pattern(device('volume-2-b'), 'second')
    lab.check('the snapshot keeps the data', lab.flow.holds_pattern(device('snap-1'), 'first'))
    group.extend_volume('volume-2-b', '192m')
    lab.equal('an origin is extended and active', size_of(lab, 'volume-2-b'), 192 * MIB)
    lab.raises('too large', group.start('extend_volume', 'volume-2-b', '99g'), 'ProcessExecutionError')
    lab.equal('and active again', size_of(lab, 'volume-2-b'), 192 * MIB)
    lab.raises('a snapshot of nothing', group.start('create_lv_snapshot', 'snap-2', 'none'), 'VolumeDeviceNotFound')
    group.delete('snap-1')
    group.create_lv_snapshot('snap-3', 'volume-2-b')
    lab.flow.write_pattern(device('volume-2-b'), 'third')
    group.revert('snap-3')
    lab.eventually('reverted', lambda: group.get_volume('snap-3').value is None, 30)
    lab.check('to the data of then', lab.flow.holds_pattern(device('volume-2-b'), 'second'))


def names(lab, group):
    before = group.get_volumes().value
    for name in WRONG_NAMES:
        for method, arguments in (('create_volume', (name, '4m')), ('delete', (name,)), ('activate_lv', (name,)),
                                  ('rename_volume', ('volume-2-b', name))):
            lab.raises(f'{method} with the name {name!r}', group.start(method, *arguments), 'InvalidParameterValue')
    lab.raises('a size that is none', group.start('create_volume', 'volume-3', '4 apples'), 'InvalidParameterValue')
    lab.equal('nothing happened', group.get_volumes().value, before)
    group.delete('volume-2-b')
    lab.raises('a volume that is gone', group.start('delete', 'volume-2-b'), 'ProcessExecutionError')


def thin(lab):
    """Two services start at the same time: one of them makes the pool, both use it."""
    callers = [lab.caller() for _ in range(2)]
    pending = [caller.start(LVM, GROUP, 'sudo', lvm_type='thin', keep=True) for caller in callers]
    group, other = [caller.remote(call.wait()) for caller, call in zip(callers, pending)]
    lab.equal('both know the pool', [made.get('vg_thin_pool') for made in (group, other)], [f'{GROUP}-pool'] * 2)
    group.create_volume('volume-1-a', '4g', lv_type='thin')
    lab.equal('larger than the disks', size_of(lab, 'volume-1-a'), 4096 * MIB)
    lab.flow.write_pattern(device('volume-1-a'), 'first')
    other.create_lv_snapshot('snap-1', 'volume-1-a', 'thin')
    lab.check('a snapshot is not active', not os.path.exists(device('snap-1')))
    other.activate_lv('snap-1', is_snapshot=True)
    lab.flow.write_pattern(device('volume-1-a'), 'second')
    lab.check('until it is activated', lab.flow.holds_pattern(device('snap-1'), 'first'))
    group.extend_volume('volume-1-a', '5g')
    lab.equal('extended in use of its snapshot', size_of(lab, 'volume-1-a'), 5120 * MIB)
    group.update_volume_group_info()
    lab.equal('what is promised', group.get('vg_provisioned_capacity'), 9.0)
    free, size = group.get('vg_thin_pool_free_space'), group.get('vg_thin_pool_size')
    # Two decimals of GiB: what was written may not show.
    lab.check('what is there', 0 < free <= size < 1.0, f'{free} of {size} GiB')
    other.delete('snap-1')
    group.delete('volume-1-a')
    group.delete(f'{GROUP}-pool')

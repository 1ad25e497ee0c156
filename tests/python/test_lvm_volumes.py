# SPDX-License-Identifier: Apache-2.0
"""Logical volumes and snapshots, over an LVM that behaves like the real one."""

from oslo_concurrency import processutils as putils
import pytest

from lvm_host import crash, group, lvm_machine, make, prefix_of_the_class

from os_brick import exception
from os_brick.local_dev import lvm
from os_brick.local_dev import lvm_sizes

REMOVE = ('lvremove', '--config', 'activation { retry_deactivation = 1} ', '-f')
REMOVE_AGAIN = ('lvremove', '--config', 'activation { retry_deactivation = 1} '
                'devices { ignore_suspended_devices = 1}', '-f')


class TestVolumes:

    def test_create(self, lvm_machine, group):
        group.create_volume('v-1', '2G')
        assert lvm_machine.commands == [('lvcreate', '-n', 'v-1', 'my-vg', '-L', '2G')]
        assert group.get_volume('v-1') == {'vg': 'my-vg', 'name': 'v-1', 'size': '2.00'}
        assert group.get_volumes() == [group.get_volume('v-1')]
        assert group.get_volume('v') is None

    @pytest.mark.parametrize('size, region', [
        ('1g', []), ('1535g', []), ('1536g', ['-R', '2']), ('2500g', ['-R', '4']),
        ('2.5T', ['-R', '4']), ('9999999k', []), ('1572864', ['-R', '2'])])
    def test_mirrors(self, size, region):
        assert lvm_sizes.mirror_options(size, 2) == [
            '-m', '2', '--nosync', '--mirrorlog', 'mirrored', *region]

    def test_a_mirrored_volume(self, lvm_machine, group):
        group.create_volume('v', '1g', mirror_count=1)
        assert lvm_machine.commands == [
            ('lvcreate', '-n', 'v', 'my-vg', '-L', '1g', '-m', '1', '--nosync', '--mirrorlog',
             'mirrored')]

    def test_room_for_mirrors(self, group):
        group.pv_list = [{'available': free} for free in (1.0, 1.0, 8.99)]
        assert [group.vg_mirror_free_space(count) for count in (1, 2, 3)] == [2.0, 1.0, 0.0]

    @pytest.mark.parametrize('size', ['', 'g', '1x', '-1g', '1 g', '1gg', None, 1, '50%FREE'])
    def test_what_is_no_size(self, lvm_machine, group, size):
        for call in (lambda: group.create_volume('v', size),
                     lambda: group.extend_volume('v', size)):
            with pytest.raises(exception.InvalidParameterValue) as caught:
                call()
            assert str(caught.value) == f'size {size!r} is no size for LVM'
        assert lvm_machine.commands == []

    def test_errors_are_logged_and_raised(self, lvm_machine, group, caplog):
        group.create_volume('v', '1g')
        with pytest.raises(putils.ProcessExecutionError, match='already exists'):
            group.create_volume('v', '1g')
        line, = [record for record in caplog.records if record.levelname == 'ERROR']
        assert line.getMessage().startswith('Error creating Volume: ')
        assert 'already exists' in line.getMessage()

    @pytest.mark.parametrize('code', [139, -11])
    def test_lv_01_crashes_are_tried_again(self, lvm_machine, group, sleeps, code):
        lvm_machine.add('my-vg/v')
        lvm_machine.failures = [('lvs', crash(code)), ('lvs', crash(code))]
        assert group.get_volume('v')['name'] == 'v'
        lvm_machine.failures = [('lvs', crash(code))]
        assert lvm.LVM.get_lv_info('sudo', 'my-vg', 'v')
        lvm_machine.failures = [('lvdisplay', crash(code))]
        assert group._lv_is_active('v')
        lvm_machine.failures = [('lvcreate', crash(code))]
        group.create_volume('w', '1g')
        assert len(lvm_machine.ran('lvs')) == 5 and len(lvm_machine.ran('lvcreate')) == 2
        assert len(sleeps) == 5

    def test_lv_01_three_times(self, lvm_machine, group, sleeps):
        lvm_machine.failures = [('lvs', crash())] * 3
        with pytest.raises(putils.ProcessExecutionError):
            group.get_volume('v')
        assert len(lvm_machine.ran('lvs')) == 3

    @pytest.mark.parametrize('code', [1, 5, -9])
    def test_lv_01_other_codes_are_not(self, lvm_machine, group, sleeps, code):
        lvm_machine.failures = [('lvs', crash(code))]
        with pytest.raises(putils.ProcessExecutionError):
            group.get_volume('v')
        assert (len(lvm_machine.ran('lvs')), sleeps) == (1, [])

    def test_rename(self, lvm_machine, group):
        lvm_machine.add('my-vg/v')
        group.rename_volume('v', 'w')
        assert lvm_machine.commands == [('lvrename', 'my-vg', 'v', 'w')]
        with pytest.raises(putils.ProcessExecutionError):
            group.rename_volume('v', 'w')


class TestSnapshots:

    def test_lv_05_snapshots_are_skipped_at_activation(self, lvm_machine, group):
        lvm_machine.add('my-vg/v', 2.5)
        group.create_lv_snapshot('s', 'v')
        assert lvm_machine.ran('lvcreate') == [
            ('lvcreate', '--name', 's', '-k', 'y', '--snapshot', 'my-vg/v', '-L', '2.50g')]
        assert (group.lv_has_snapshot('v'), group.lv_has_snapshot('s')) == (True, False)

    def test_lv_05_thin_ones_have_no_size(self, lvm_machine):
        made = make(lvm_machine, lvm_type='thin')
        made.create_volume('v', '1g', 'thin')
        made.create_lv_snapshot('s', 'v', 'thin')
        assert lvm_machine.commands[-1] == (
            'lvcreate', '--name', 's', '-k', 'y', '--snapshot', 'my-vg/v')
        assert not made.lv_has_snapshot('v')

    def test_no_source(self, lvm_machine, group, sleeps):
        with pytest.raises(exception.VolumeDeviceNotFound) as caught:
            group.create_lv_snapshot('s', 'none')
        assert (caught.value.kwargs['device'], sleeps) == ('none', [])
        assert lvm_machine.ran('lvcreate') == []

    def test_a_failed_snapshot_is_tried_again(self, lvm_machine, group, sleeps):
        lvm_machine.add('my-vg/v')
        lvm_machine.failures = [('lvcreate', crash(5))] * 2
        group.create_lv_snapshot('s', 'v')
        assert group.get_volume('s') and len(sleeps) == 2

    def test_revert(self, lvm_machine, group):
        lvm_machine.add('my-vg/v')
        group.create_lv_snapshot('s', 'v')
        group.revert('s')
        assert lvm_machine.commands[-1] == ('lvconvert', '--merge', 'my-vg/s')
        assert group.get_volume('s') is None

    def test_lv_04_activation(self, lvm_machine, group):
        lvm_machine.add('my-vg/v').active = False
        lvm_machine.add('my-vg/_snapshot-1').active = False
        group.activate_lv('v')
        group.activate_lv('snapshot-1', is_snapshot=True, permanent=True)
        assert lvm_machine.commands == [
            ('lvchange', '-a', 'y', '--yes', '-K', 'my-vg/v'),
            ('lvchange', '-a', 'y', '--yes', '-K', '-k', 'n', 'my-vg/_snapshot-1')]
        group.deactivate_lv('snapshot-1')
        assert not lvm_machine.volume('my-vg/_snapshot-1').active
        with pytest.raises(putils.ProcessExecutionError):
            group.activate_lv('none')


class TestDeactivation:

    def test_lv_02_deactivation_is_waited_for(self, lvm_machine, group, sleeps):
        lvm_machine.add('my-vg/v')
        lvm_machine.slow_deactivations = 4
        group.deactivate_lv('v')
        assert lvm_machine.ran('lvchange') == [('lvchange', '-a', 'n', 'my-vg/v')]
        assert (len(lvm_machine.ran('lvdisplay')), len(sleeps)) == (5, 4)

    def test_lv_02_not_for_ever(self, lvm_machine, group, sleeps):
        lvm_machine.add('my-vg/v')
        lvm_machine.slow_deactivations = 5
        with pytest.raises(exception.VolumeNotDeactivated) as caught:
            group.deactivate_lv('v')
        assert str(caught.value) == 'Volume v was not deactivated in time.'
        assert len(sleeps) == 4

    def test_a_volume_in_use(self, lvm_machine, group, caplog):
        lvm_machine.add('my-vg/v').in_use = True
        with pytest.raises(putils.ProcessExecutionError, match='in use'):
            group.deactivate_lv('v')
        assert lvm_machine.ran('lvdisplay') == []
        assert 'Error deactivating LV' in caplog.text

    def test_extend(self, lvm_machine, group):
        lvm_machine.add('my-vg/v')
        group.extend_volume('v', '2g')
        assert lvm_machine.ran('lvextend', 'lvchange') == [('lvextend', '-L', '2g', 'my-vg/v')]
        assert group.get_volume('v')['size'] == '2.00'

    @pytest.mark.parametrize('size', ['2g', '99g'])
    def test_lv_02_extend_of_an_origin(self, lvm_machine, group, sleeps, size):
        """It is inactive meanwhile and active again, also when the extension fails."""
        lvm_machine.add('my-vg/v')
        group.create_lv_snapshot('s', 'v')
        lvm_machine.slow_deactivations = 2
        if size == '99g':
            with pytest.raises(putils.ProcessExecutionError, match='Insufficient'):
                group.extend_volume('v', size)
        else:
            group.extend_volume('v', size)
        assert [cmd[:3] for cmd in lvm_machine.ran('lvchange', 'lvextend')] == [
            ('lvchange', '-a', 'n'), ('lvextend', '-L', size), ('lvchange', '-a', 'y')]
        assert lvm_machine.volume('my-vg/v').active


class TestDelete:

    def test_lv_03_deactivation_is_retried_by_lvm(self, lvm_machine, group):
        lvm_machine.add('my-vg/v')
        group.delete('v')
        assert lvm_machine.commands == [(*REMOVE, 'my-vg/v')]

    def test_lv_03_once_more_when_udev_is_done(self, lvm_machine, group, sleeps):
        lvm_machine.add('my-vg/v')
        lvm_machine.failures = [('lvremove', crash(5))]
        group.delete('v')
        assert lvm_machine.commands == [(*REMOVE, 'my-vg/v'), ('udevadm', 'settle'),
                                        (*REMOVE_AGAIN, 'my-vg/v')]
        assert (group.get_volume('v'), sleeps) == (None, [])

    def test_lv_03_gone_after_the_first_failure(self, lvm_machine, group):
        """The program failed after it had removed the volume."""
        lvm_machine.failures = [('lvremove', putils.ProcessExecutionError(stderr='timeout'))]
        group.delete('v')
        assert len(lvm_machine.ran('lvremove')) == 2

    def test_a_volume_that_never_was(self, lvm_machine, group, sleeps):
        with pytest.raises(putils.ProcessExecutionError, match='Failed to find'):
            group.delete('v')

    def test_lv_03_a_volume_in_use(self, lvm_machine, group, sleeps):
        lvm_machine.add('my-vg/v').in_use = True
        with pytest.raises(putils.ProcessExecutionError, match='in use'):
            group.delete('v')
        assert len(lvm_machine.ran('lvremove')) == 6 and group.get_volume('v')

# SPDX-License-Identifier: Apache-2.0
"""Volume groups, over an LVM that behaves like the real one."""

from oslo_concurrency import processutils as putils
import pytest

import lvm_host

from os_brick import exception
from os_brick.local_dev import lvm
from os_brick.local_dev import lvm_report
from os_brick.local_dev import lvm_sizes
from os_brick.privileged import rootwrap

LC_ALL = ('LC_ALL=C',)
REMOVE = ('lvremove', '--config', 'activation { retry_deactivation = 1} ', '-f')
REMOVE_AGAIN = ('lvremove', '--config', 'activation { retry_deactivation = 1} '
                'devices { ignore_suspended_devices = 1}', '-f')


@pytest.fixture(autouse=True)
def prefix_of_the_class():
    before = lvm.LVM.LVM_CMD_PREFIX
    yield
    lvm.LVM.LVM_CMD_PREFIX = before


@pytest.fixture
def lvm_machine(monkeypatch):
    """A host with a group over two disks; also for the static methods."""
    machine = lvm_host.Host(my_vg=['/dev/sda', '/dev/sdb'])
    monkeypatch.setattr(rootwrap, 'execute', machine.execute)
    return machine


def make(machine, name='my-vg', **options):
    """The object, after which the record of commands is empty."""
    made = lvm.LVM(name, 'sudo', executor=machine.execute, **options)
    machine.commands.clear()
    machine.environments.clear()
    return made


@pytest.fixture
def group(lvm_machine):
    return make(lvm_machine)


def crash(code=139):
    return putils.ProcessExecutionError(exit_code=code, cmd='lvs')


class TestGroup:

    def test_lv_07_physical_volumes_are_records(self, lvm_machine):
        made = lvm.LVM('new', 'sudo', create_vg=True, physical_volumes=['/dev/sdc', '/dev/sdd'],
                       executor=lvm_machine.execute)
        records = [{'vg': 'new', 'name': '/dev/sdc', 'size': 10.0, 'available': 10.0},
                   {'vg': 'new', 'name': '/dev/sdd', 'size': 10.0, 'available': 10.0}]
        assert made.pv_list == records
        lvm_machine.add('new/v', 4.0)
        assert made.get_physical_volumes() is made.pv_list
        assert [pv['available'] for pv in made.pv_list] == [8.0, 8.0]
        assert len(lvm.LVM.get_all_physical_volumes('sudo')) == 6
        assert lvm.LVM.get_all_physical_volumes('sudo', 'broken-vg') == [
            {'vg': 'broken-vg', 'name': 'unknown device', 'size': 10.0, 'available': 1.0}]

    def test_x_19_each_disk_is_an_argument(self, lvm_machine):
        lvm.LVM('new', 'sudo', create_vg=True, physical_volumes=['/dev/sdc', '/dev/sdd'],
                executor=lvm_machine.execute)
        assert lvm_machine.commands[0] == ('vgcreate', 'new', '/dev/sdc', '/dev/sdd')

    @pytest.mark.parametrize('disks', [[], '/dev/sdc', [None], ['-y'], [''], 7])
    def test_x_19_what_is_no_list_of_disks(self, lvm_machine, disks):
        with pytest.raises(exception.InvalidParameterValue, match='physical_volumes'):
            lvm.LVM('new', 'sudo', create_vg=True, physical_volumes=disks,
                    executor=lvm_machine.execute)
        assert lvm_machine.commands == []

    def test_a_group_that_cannot_be_created(self, lvm_machine, caplog):
        with pytest.raises(exception.VolumeGroupCreationFailed) as caught:
            make(lvm_machine, create_vg=True, physical_volumes=['/dev/sdc'])
        assert str(caught.value) == 'Failed to create Volume Group: my-vg'
        assert 'A volume group called my-vg already exists.' in caplog.text

    def test_a_group_that_does_not_exist(self, lvm_machine):
        with pytest.raises(exception.VolumeGroupNotFound) as caught:
            make(lvm_machine, 'no-vg')
        assert str(caught.value) == 'Unable to find Volume Group: no-vg'
        lvm_machine.failures = [('vgs', crash(3))]
        with pytest.raises(putils.ProcessExecutionError):
            make(lvm_machine)

    @pytest.mark.parametrize('name', ['', None, '-a', '.', '..', 'a/b', 'a b', 'a\n', 'ü', 7])
    def test_names_lvm_has_not(self, lvm_machine, group, name):
        calls = [lambda: make(lvm_machine, name),
                 lambda: group.create_volume(name, '1g'),
                 lambda: group.create_lv_snapshot(name, 'v'),
                 lambda: group.create_thin_pool(name if name is not None else ''),
                 lambda: group.rename_volume('v', name), lambda: group.rename_volume(name, 'v'),
                 lambda: group.extend_volume(name, '2g'), lambda: group.revert(name)]
        if isinstance(name, str):
            calls += [lambda: group.delete(name), lambda: group.activate_lv(name),
                      lambda: group.deactivate_lv(name)]
        for call in calls:
            with pytest.raises(exception.InvalidParameterValue) as caught:
                call()
            assert 'is no name for LVM' in str(caught.value)
        assert lvm_machine.commands == []

    def test_update(self, lvm_machine, group):
        lvm_machine.add('my-vg/v', 2.5)
        group.update_volume_group_info()
        assert (group.vg_size, group.vg_free_space, group.vg_lv_count, group.vg_uuid,
                group.vg_provisioned_capacity) == (20.0, 17.5, 1, 'uuid-of-my-vg', 0.0)
        assert group._get_vg_uuid() == ['uuid-of-my-vg']
        assert group.vg_mirror_size(1) == 8.75
        del lvm_machine.groups['my-vg']
        with pytest.raises(exception.VolumeGroupNotFound):
            group.update_volume_group_info()

    def test_static_questions(self, lvm_machine, group):
        lvm_machine.groups['two'], lvm_machine.volumes['two'] = ['/dev/sdc'], {}
        assert lvm.LVM.get_all_volume_groups('sudo', 'two') == [
            {'name': 'two', 'size': 10.0, 'available': 10.0, 'lv_count': 0,
             'uuid': 'uuid-of-two'}]
        assert [vg['name'] for vg in lvm.LVM.get_all_volume_groups('sudo')] == ['my-vg', 'two']
        with pytest.raises(putils.ProcessExecutionError):
            lvm.LVM.get_all_volume_groups('sudo', 'three')
        lvm_machine.add('my-vg/a')
        lvm_machine.add('my-vg/b', 2.0)
        assert lvm.LVM.get_lv_info('sudo', 'my-vg', 'b') == [
            {'vg': 'my-vg', 'name': 'b', 'size': '2.00'}]
        assert [lv['name'] for lv in lvm.LVM.get_lv_info('sudo', 'my-vg')] == ['a', 'b']

    def test_lv_09_the_version(self, lvm_machine, monkeypatch):
        assert lvm.LVM.get_lvm_version('sudo') == (2, 3, 16)
        for out in ('', 'LVM version: unknown\n', '  Library version: 1.02.185\n', None):
            monkeypatch.setattr(rootwrap, 'execute', lambda *cmd, out=out, **kwargs: (out, ''))
            with pytest.raises(exception.BrickException) as caught:
                lvm.LVM.get_lvm_version('sudo')
            assert str(caught.value) == 'Cannot parse LVM version'


class TestEnvironment:

    def test_lv_08_descriptor_warnings(self, lvm_machine):
        for _ in range(2):
            made = lvm.LVM('my-vg', 'sudo', executor=lvm_machine.execute, suppress_fd_warn=True)
            assert made.LVM_CMD_PREFIX == ['env', 'LC_ALL=C', 'LVM_SUPPRESS_FD_WARNINGS=1']
        assert set(lvm_machine.environments) == {('LC_ALL=C', 'LVM_SUPPRESS_FD_WARNINGS=1')}

    def test_lv_08_objects_do_not_share_their_environment(self, lvm_machine, tmp_path):
        (tmp_path / 'lvm.conf').touch()
        mine = make(lvm_machine, lvm_conf=str(tmp_path / 'lvm.conf'), suppress_fd_warn=True)
        other = make(lvm_machine, lvm_conf=str(tmp_path / 'missing.conf'))
        lvm_machine.add('my-vg/v')
        for made, environment in ((mine, ('LC_ALL=C', f'LVM_SYSTEM_DIR={tmp_path}',
                                          'LVM_SUPPRESS_FD_WARNINGS=1')),
                                  (other, LC_ALL)):
            lvm_machine.environments.clear()
            made.get_volume('v')
            made.extend_volume('v', '2g')
            assert set(lvm_machine.environments) == {environment}
        lvm_machine.environments.clear()
        mine.activate_lv('v')
        mine.rename_volume('v', 'w')
        mine.delete('w')
        other.create_volume('x', '1g')
        other.delete('x')
        conf = f'LVM_SYSTEM_DIR={tmp_path}'
        assert [conf in environment for environment in lvm_machine.environments] == [
            True, True, True, False, False]
        lvm.LVM.get_lv_info('sudo', 'my-vg')
        assert lvm_machine.environments[-1] == LC_ALL

    def test_px_10_the_callers_executor_gets_every_command(self, lvm_machine, monkeypatch):
        monkeypatch.setattr(rootwrap, 'execute', None)
        made = make(lvm_machine, lvm_type='thin')
        made.create_volume('v', '1g', 'thin')
        made.update_volume_group_info()
        assert made.get_physical_volumes()

    def test_lv_11_questions_take_no_lock(self, lvm_machine, group):
        lvm_machine.add('my-vg/v')
        group.update_volume_group_info()
        group.lv_has_snapshot('v')
        group.get_volume('v')
        group._lv_is_active('v')
        assert [(cmd[0], '--readonly' in cmd) for cmd in lvm_machine.commands] == [
            ('vgs', True), ('lvdisplay', True), ('lvs', True), ('lvdisplay', False)]


class TestThin:

    def test_lv_10_lv_12_a_pool_and_a_volume(self, lvm_machine):
        made = lvm.LVM('my-vg', 'sudo', lvm_type='thin', executor=lvm_machine.execute)
        assert made.vg_thin_pool == 'my-vg-pool'
        made.create_volume('v', '3g', lv_type='thin')
        assert lvm_machine.ran('lvcreate', 'lvchange') == [
            ('lvcreate', '-T', '-l', '100%FREE', 'my-vg/my-vg-pool'),
            ('lvchange', '-a', 'y', '--yes', '-K', 'my-vg/my-vg-pool'),
            ('lvcreate', '-T', '-V', '3g', '-n', 'v', 'my-vg/my-vg-pool')]

    def test_lv_12_the_pool_is_known_at_once(self, lvm_machine, group):
        with pytest.raises(exception.InvalidParameterValue, match='thin pool None'):
            group.create_volume('v', '1g', lv_type='thin')
        group.create_thin_pool('p')
        group.create_volume('v', '1g', lv_type='thin')
        assert lvm_machine.commands[-1][-1] == 'my-vg/p'

    def test_a_pool_that_exists_is_used(self, lvm_machine):
        lvm_machine.add('my-vg/my-vg-pool', 5.0, kind='t').active = False
        assert make(lvm_machine, lvm_type='thin').vg_thin_pool == 'my-vg-pool'
        assert lvm_machine.volume('my-vg/my-vg-pool').active

    def test_lv_13_another_service_makes_the_pool(self, lvm_machine):
        class Late(putils.ProcessExecutionError):
            def __init__(self):
                lvm_machine.add('my-vg/my-vg-pool', 5.0, kind='t')
                super().__init__(stderr='already exists', exit_code=5)

        real = lvm_machine.execute

        def execute(*cmd, **kwargs):
            if 'lvcreate' in cmd:
                raise Late
            return real(*cmd, **kwargs)

        made = lvm.LVM('my-vg', 'sudo', lvm_type='thin', executor=execute)
        assert made.vg_thin_pool == 'my-vg-pool'

    def test_lv_13_a_pool_nobody_made(self, lvm_machine):
        lvm_machine.failures = [('lvcreate', crash(5))]
        with pytest.raises(putils.ProcessExecutionError):
            make(lvm_machine, lvm_type='thin')

    @pytest.mark.parametrize('text', [
        'One or more specified logical volume(s) not found.',
        'Failed to find logical volume "my-vg/v"', 'Volume group "my-vg" not found'])
    def test_lv_13_what_is_not_there_is_no_error(self, lvm_machine, group, text):
        for question in (lambda: group.get_volumes('v'),
                         lambda: lvm.LVM.get_lv_info('sudo', 'my-vg', 'v')):
            lvm_machine.failures = [('lvs', putils.ProcessExecutionError(stderr=text, exit_code=5))]
            assert question() == []
        assert group.get_volume('v') is None

    def test_lv_13_other_errors_are(self, lvm_machine, group):
        for error in (putils.ProcessExecutionError(stderr='locked', exit_code=5),
                      putils.ProcessExecutionError(description='no such program')):
            lvm_machine.failures = [('lvs', error)]
            with pytest.raises(putils.ProcessExecutionError):
                group.get_volume('v')

    def test_lv_06_sizes_are_numbers(self, lvm_machine):
        made = make(lvm_machine, lvm_type='thin')
        made.create_volume('a', '1.5g', 'thin')
        made.create_volume('b', '2G', 'thin')
        made.update_volume_group_info()
        assert (made.vg_thin_pool_size, made.vg_thin_pool_free_space,
                made.vg_provisioned_capacity) == (20.0, 16.0, 3.5)

    @pytest.mark.parametrize('out, free', [
        ('  9.50:20\n', 7.6), ('9.50g:20.00\n', 7.6), ('9:12', 7.92), ('  9.50:\n', 0.0), ('', 0.0),
        (None, 0.0)])
    def test_lv_06_a_pool_lvm_knows_little_about(self, out, free):
        assert lvm_report.thin_pool_free_space(lambda command: (out, ''), 'vg', 'p') == free

    def test_lv_06_units_are_stripped(self, lvm_machine, group, monkeypatch):
        group.vg_thin_pool = 'p'
        answers = {'vgs': '  my-vg:10.00g:1.00g:3:u\n', 'lvs': '  my-vg p 9.50g\n  my-vg v 1.25g\n'}
        monkeypatch.setattr(group, '_execute', lambda *cmd, **kwargs: (
            '9.50g:20.00' if 'size,data_percent' in cmd else answers[cmd[2]], ''))
        group.update_volume_group_info()
        assert (group.vg_size, group.vg_thin_pool_size, group.vg_thin_pool_free_space,
                group.vg_provisioned_capacity) == (10.0, 9.5, 7.6, 1.25)

    def test_a_pool_that_cannot_be_asked(self, lvm_machine, group, caplog):
        assert group._get_thin_pool_free_space('my-vg', 'none') == 0.0
        assert 'Error querying thin pool about data_percent' in caplog.text


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

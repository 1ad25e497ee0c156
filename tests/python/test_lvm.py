# SPDX-License-Identifier: Apache-2.0
"""Volume groups, over an LVM that behaves like the real one."""

from oslo_concurrency import processutils as putils
import pytest

from lvm_host import crash, group, lvm_machine, make, prefix_of_the_class

from os_brick import exception
from os_brick.local_dev import lvm
from os_brick.local_dev import lvm_report
from os_brick.privileged import rootwrap

LC_ALL = ('LC_ALL=C',)


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

    def test_lv_11_what_is_used_is_asked_of_the_kernel(self, lvm_machine):
        made = make(lvm_machine, lvm_type='thin')
        assert made._get_thin_pool_free_space('my-vg', 'my-vg-pool') == 16.0
        assert '--readonly' not in lvm_machine.commands[-1]
        made.deactivate_lv('my-vg-pool')
        assert made._get_thin_pool_free_space('my-vg', 'my-vg-pool') == 0.0

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

# SPDX-License-Identifier: Apache-2.0
"""RBDConnector with do_local_attach: a pretend `rbd` that keeps a table of mappings, and what is left."""

import os
import pathlib
import threading

from oslo_concurrency import processutils as putils
import pytest

import fake_ceph
import fake_rbd

from os_brick import ceph
from os_brick import exception
from os_brick.initiator.connectors import rbd
from os_brick.privileged import rbd as rbd_privsep

#: As OpenStack gives them: the key is on the host.
PROPS = {'name': 'volumes/v1', 'hosts': fake_ceph.HOSTS, 'ports': fake_ceph.PORTS,
         'cluster_name': 'ceph', 'auth_username': 'cinder', 'do_local_attach': True}
#: As a library outside of OpenStack gives them.
WITH_KEY = {**PROPS, 'keyring': fake_ceph.KEYRING}
CONF = f'[global]\nmon_host = {fake_ceph.MON_HOST}\n{fake_ceph.KEYRING}\n'
ACCESS = {'id': ['cinder'], 'mon_host': [fake_ceph.MON_HOST]}
LINK = '/dev/disk/by-id/os-brick'


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    directory = tmp_path / 'tmp'
    directory.mkdir()
    monkeypatch.setattr(ceph.tempfile, 'tempdir', str(directory))
    return directory


@pytest.fixture
def ceph_host(tmp_path, monkeypatch, temporary):
    """A host with ceph-common and the images v1 and v2."""
    host = fake_rbd.Program(tmp_path / 'host')
    host.settings(images=['volumes/v1', 'volumes/v2', 'backups/v1', 'volumes/blue/v1', 'volumes/v1@s'])
    monkeypatch.setenv('PATH', f"{host.directory / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(rbd, '_SYS_RBD', str(host.sys))
    monkeypatch.setattr(rbd.RBDConnector, 'get_rbd_device_name',
                        staticmethod(lambda pool, volume: str(host.links / pool / volume)))
    return host


@pytest.fixture(params=['own', 'injected'])
def connector(request, ceph_host):
    """The default, and one whose caller runs the commands (PX-10)."""
    if request.param == 'own':
        return rbd.RBDConnector('sudo', do_local_attach=True)
    def execute(*cmd, run_as_root=False, root_helper=None):
        if cmd == ('which', 'rbd'):
            return putils.execute(*cmd)
        assert (cmd[0], run_as_root, root_helper) == ('rbd', True, 'sudo')
        return ceph_host.execute(*cmd)
    return rbd.RBDConnector('sudo', do_local_attach=True, execute=execute)


def verbs(host):
    return [call['words'][0] for call in host.calls]


class TestConnect:

    def test_rb_19_a_volume_is_mapped(self, connector, ceph_host, temporary):
        path = str(ceph_host.links / 'volumes/v1')
        assert connector.connect_volume(PROPS) == {'path': path, 'type': 'block'}
        assert os.path.exists(path)
        assert ceph_host.mapped == {'/dev/rbd0': 'volumes/v1'}
        assert [(call['words'], call['options']) for call in ceph_host.calls] == [
            (['showmapped'], {**ACCESS, 'format': ['json']}),
            (['map', 'v1'], {**ACCESS, 'pool': ['volumes']})]
        assert os.listdir(temporary) == []

    def test_the_path_is_udevs(self):
        assert rbd.RBDConnector.get_rbd_device_name('volumes', 'v1') == '/dev/rbd/volumes/v1'

    def test_the_properties_win(self, ceph_host):
        connector = rbd.RBDConnector(None)
        assert connector.connect_volume({**PROPS, 'do_local_attach': True})['type'] == 'block'

    def test_rb_25_the_key_in_the_properties(self, connector, ceph_host, temporary):
        info = connector.connect_volume(WITH_KEY)
        conf = info.pop('conf')
        assert info == {'path': str(ceph_host.links / 'volumes/v1'), 'type': 'block'}
        assert os.listdir(temporary) == [os.path.basename(conf)]
        assert [(call['words'][0], call['options']['conf'], call['conf'], call['mode']) for call in ceph_host.calls] == [
            ('showmapped', [conf], CONF, 0o600), ('map', [conf], CONF, 0o600)]
        assert fake_ceph.KEY not in str([call['argv'] for call in ceph_host.calls])

    def test_rb_21_a_second_time(self, connector, ceph_host):
        first = connector.connect_volume(PROPS)
        assert connector.connect_volume(PROPS) == first
        assert ceph_host.mapped == {'/dev/rbd0': 'volumes/v1'}

    def test_rb_21_without_links_and_mapped_by_somebody_else(self, connector, ceph_host):
        ceph_host.settings(udev=False)
        ceph_host.map_by_hand('volumes', 'v1')
        connector.connect_volume(PROPS)
        assert ceph_host.mapped == {'/dev/rbd0': 'volumes/v1'}

    def test_rb_21_two_threads_map_once(self, ceph_host):
        connector = rbd.RBDConnector(None, do_local_attach=True)
        threads = [threading.Thread(target=connector.connect_volume, args=(PROPS,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert ceph_host.mapped == {'/dev/rbd0': 'volumes/v1'}

    @pytest.mark.parametrize('other', [('backups', 'v1'), ('volumes', 'v2'), ('volumes', 'v1', 'blue'),
                                       ('volumes', 'v1', '', 's')])
    def test_x_10_what_is_mapped_is_another(self, connector, ceph_host, other):
        ceph_host.map_by_hand(*other)
        connector.connect_volume(PROPS)
        assert ceph_host.mapped['/dev/rbd1'] == 'volumes/v1'

    @pytest.mark.parametrize('name', ['volumes/blue/v1', 'volumes/v1@s'])
    def test_x_10_namespaces_and_snapshots(self, connector, ceph_host, name):
        info = connector.connect_volume({**PROPS, 'name': name})
        assert info['path'] == str(ceph_host.links / name)
        assert ceph_host.mapped == {'/dev/rbd0': name}
        connector.disconnect_volume({**PROPS, 'name': name}, info)
        assert ceph_host.mapped == {}

    def test_rb_24_no_udev(self, connector, ceph_host, caplog):
        ceph_host.settings(udev=False)
        path = connector.connect_volume(PROPS)['path']
        assert [record.getMessage() for record in caplog.records if record.name == rbd.LOG.name] == [
            f'Volume volumes/v1 is mapped, but there is no {path}: is udev running, with the rules of ceph-common?']

    @pytest.mark.parametrize('props', [PROPS, WITH_KEY])
    @pytest.mark.parametrize('verb', ['showmapped', 'map'])
    def test_rb_25_se_11_a_failure_leaves_nothing(self, connector, ceph_host, temporary, props, verb):
        ceph_host.settings(fail=verb)
        with pytest.raises(putils.ProcessExecutionError) as caught:
            connector.connect_volume(props)
        assert caught.value.exit_code == 22
        assert fake_ceph.KEY not in str(caught.value)
        assert (ceph_host.mapped, os.listdir(temporary)) == ({}, [])

    def test_the_first_error_is_the_one_raised(self, connector, ceph_host, monkeypatch):
        def broken(path):
            raise OSError('no')
        monkeypatch.setattr(rbd_privsep, 'delete_if_exists', broken)
        ceph_host.settings(fail='map')
        with pytest.raises(putils.ProcessExecutionError):
            connector.connect_volume(WITH_KEY)

    def test_without_the_program(self, connector, ceph_host, monkeypatch, tmp_path, temporary):
        os.unlink(ceph_host.directory / 'bin/rbd')
        with pytest.raises(exception.BrickException) as caught:
            connector.connect_volume(WITH_KEY)
        assert str(caught.value) == 'ceph-common package is not installed.'
        assert os.listdir(temporary) == []

    @pytest.mark.parametrize('change', [{'name': 'v1'}, {'name': None}, {'hosts': ['a', 'b', 'c']},
                                        {'auth_username': '--conf=x'}, {'name': 'volumes/--help'}])
    def test_rb_18_properties_are_checked_first(self, connector, ceph_host, change):
        with pytest.raises(exception.BrickException, match='malformed connection properties: '):
            connector.connect_volume({**WITH_KEY, **change})
        assert ceph_host.calls == []

    def test_rb_09_no_user(self, connector, ceph_host):
        connector.connect_volume({**PROPS, 'auth_username': None})
        assert [call['options'].get('id') for call in ceph_host.calls] == [None, None]

    def test_rb_22_encrypted_volumes_have_a_link_of_their_own(self, connector, ceph_host, links):
        props = {**PROPS, 'encrypted': True}
        info = connector.connect_volume(props)
        udevs = str(ceph_host.links / 'volumes/v1')
        assert info['path'] == LINK + udevs.replace('/', '+')
        assert links == [('link', os.path.realpath(udevs), info['path'])]
        # An encryptor of old put its device in the place of udev's link.
        os.unlink(udevs)
        pathlib.Path(udevs).symlink_to('/dev/null')
        connector.disconnect_volume(props, info)
        assert ceph_host.mapped == {}
        assert links[1:] == [('unlink', info['path'])]


class TestDisconnect:

    @pytest.mark.parametrize('form', ['list', 'dict'])
    def test_rb_22_rb_23_the_kernels_device_is_unmapped(self, connector, ceph_host, form):
        ceph_host.settings(form=form)
        info = connector.connect_volume(PROPS)
        connector.disconnect_volume(PROPS, info)
        assert ceph_host.mapped == {}
        assert ceph_host.calls[-1]['words'] == ['unmap', '/dev/rbd0']
        assert ceph_host.calls[-1]['options'] == ACCESS

    def test_x_10_of_two_pools(self, connector, ceph_host):
        for other in (('backups', 'v1'), ('volumes', 'v1', 'blue'), ('volumes', 'v1', '', 's')):
            ceph_host.map_by_hand(*other)
        info = connector.connect_volume(PROPS)
        connector.disconnect_volume(PROPS, info)
        assert ceph_host.mapped == {'/dev/rbd0': 'backups/v1', '/dev/rbd1': 'volumes/blue/v1',
                                    '/dev/rbd2': 'volumes/v1@s'}

    def test_rb_22_not_mapped(self, connector, ceph_host):
        connector.disconnect_volume(PROPS, None)
        assert verbs(ceph_host) == ['showmapped']

    @pytest.mark.parametrize('known', [True, False])
    def test_rb_01_rb_25_se_11_conf_and_mapping_go(self, connector, ceph_host, temporary, known):
        """With what the attach returned, and by a service that has lost it."""
        info = connector.connect_volume(WITH_KEY)
        connector.connect_volume({**WITH_KEY, 'name': 'volumes/v2'})
        connector.disconnect_volume(WITH_KEY, info if known else None)
        assert ceph_host.mapped == {'/dev/rbd1': 'volumes/v2'}
        assert ceph_host.calls[-1]['conf'] == CONF
        connector.disconnect_volume({**WITH_KEY, 'name': 'volumes/v2'}, None)
        assert os.listdir(temporary) == []

    def test_se_11_the_conf_of_a_second_attach_goes_too(self, connector, ceph_host, temporary):
        infos = [connector.connect_volume(WITH_KEY) for _ in range(2)]
        connector.disconnect_volume(WITH_KEY, infos[0])
        assert (ceph_host.mapped, os.listdir(temporary)) == ({}, [])

    def test_a_conf_that_is_lost(self, connector, ceph_host, temporary):
        """A private /tmp is empty after the service was restarted."""
        info = connector.connect_volume(WITH_KEY)
        os.unlink(info['conf'])
        connector.disconnect_volume(WITH_KEY, info)
        assert (ceph_host.mapped, os.listdir(temporary)) == ({}, [])

    def test_se_11_not_mapped_any_more(self, connector, ceph_host, temporary):
        info = connector.connect_volume(WITH_KEY)
        (ceph_host.directory / 'table.json').write_text('{}')
        connector.disconnect_volume(WITH_KEY, info)
        assert os.listdir(temporary) == []

    @pytest.mark.parametrize('path', ['/etc/ceph/ceph.conf', 'relative', 5])
    def test_somebody_elses_file_is_neither_used_nor_removed(self, connector, ceph_host, temporary, path, tmp_path):
        other = tmp_path / 'ceph.conf'
        other.write_text('mine')
        connector.connect_volume(PROPS)
        connector.disconnect_volume(PROPS, {'path': '/dev/rbd/volumes/v1', 'conf': str(other) if path[:1] == '/' else path}
                                    if isinstance(path, str) else {'path': '/dev/rbd/volumes/v1', 'conf': path})
        assert (ceph_host.mapped, other.read_text()) == ({}, 'mine')

    def test_a_device_in_use_stays(self, connector, ceph_host, temporary):
        info = connector.connect_volume(WITH_KEY)
        ceph_host.settings(busy=['/dev/rbd0'])
        with pytest.raises(putils.ProcessExecutionError) as caught:
            connector.disconnect_volume(WITH_KEY, info)
        assert caught.value.exit_code == 16
        assert ceph_host.mapped == {'/dev/rbd0': 'volumes/v1'}
        assert os.listdir(temporary) == [os.path.basename(info['conf'])]
        ceph_host.settings(busy=[])
        connector.disconnect_volume(WITH_KEY, info)
        assert (ceph_host.mapped, os.listdir(temporary)) == ({}, [])

    def test_a_device_in_use_goes_by_force(self, connector, ceph_host, temporary):
        info = connector.connect_volume(WITH_KEY)
        ceph_host.settings(busy=['/dev/rbd0'])
        connector.disconnect_volume(WITH_KEY, info, force=True)
        assert verbs(ceph_host)[-2:] == ['unmap', 'unmap']
        assert (ceph_host.mapped, os.listdir(temporary)) == ({}, [])

    def test_force_and_errors(self, connector, ceph_host):
        info = connector.connect_volume(PROPS)
        ceph_host.settings(fail='unmap')
        with pytest.raises(exception.ExceptionChainer, match='unmap failed'):
            connector.disconnect_volume(PROPS, info, force=True)
        connector.disconnect_volume(PROPS, info, force=True, ignore_errors=True)

    def test_what_was_attached_as_a_device_is_detached_as_one(self, connector, ceph_host):
        info = connector.connect_volume(PROPS)
        props = {**PROPS, 'do_local_attach': False}
        connector.disconnect_volume(props, info)
        assert ceph_host.mapped == {}

    def test_links_of_encrypted_volumes_stay_while_the_device_does(self, connector, ceph_host, links):
        props = {**PROPS, 'encrypted': True}
        info = connector.connect_volume(props)
        ceph_host.settings(busy=['/dev/rbd0'])
        with pytest.raises(putils.ProcessExecutionError):
            connector.disconnect_volume(props, info)
        assert [verb for verb, *_ in links] == ['link']


class TestExtend:

    @pytest.mark.parametrize('props', [PROPS, WITH_KEY])
    def test_rb_27_the_size_the_kernel_sees(self, connector, ceph_host, temporary, props):
        ceph_host.map_by_hand('backups', 'v1')
        info = connector.connect_volume(props)
        (ceph_host.sys / '1' / 'size').write_text('8589934592\n')
        left = os.listdir(temporary)
        assert connector.extend_volume(props) == 8589934592
        assert os.listdir(temporary) == left
        connector.disconnect_volume(props, info)
        assert os.listdir(temporary) == []

    @pytest.mark.parametrize('props', [PROPS, WITH_KEY])
    def test_rb_27_not_mapped(self, connector, temporary, props):
        with pytest.raises(exception.BrickException) as caught:
            connector.extend_volume(props)
        assert str(caught.value) == 'Cannot extend non mapped device.'
        assert os.listdir(temporary) == []

    def test_rb_27_a_failure_leaves_nothing(self, connector, ceph_host, temporary):
        ceph_host.settings(fail='showmapped')
        with pytest.raises(putils.ProcessExecutionError):
            connector.extend_volume(WITH_KEY)
        assert os.listdir(temporary) == []

    def test_no_size(self, connector, ceph_host):
        ceph_host.map_by_hand('volumes', 'v1')
        with pytest.raises(exception.BrickException) as caught:
            connector.extend_volume(PROPS)
        assert str(caught.value) == f"Cannot read the size of /dev/rbd0 from {ceph_host.sys / '0' / 'size'}"


class TestRoot:
    """The privileged verbs trust nothing they are sent."""

    @pytest.mark.parametrize('path', ['/etc/passwd', 'brickrbd_x', '/tmp/brickrbd_x/../../etc/passwd', None, 7])
    def test_only_our_files_are_removed(self, path):
        with pytest.raises(exception.InvalidParameterValue, match='is no configuration file of os-brick'):
            rbd_privsep.delete_if_exists(path)

    def test_a_file_that_is_gone(self, tmp_path):
        rbd_privsep.delete_if_exists(str(tmp_path / 'brickrbd_x'))

    def test_only_our_files_are_believed(self, ceph_host, tmp_path):
        foreign = tmp_path / 'ceph.conf'
        foreign.write_text('[global]\nlog_file = /etc/passwd\n')
        link = tmp_path / 'brickrbd_link'
        link.symlink_to(foreign)
        for conf in (str(foreign), str(link)):
            with pytest.raises(exception.InvalidParameterValue):
                rbd_privsep.list_mapped('cinder', ['a'], ['1'], conf)
        assert ceph_host.calls == []

    @pytest.mark.parametrize('device', ['/dev/sda', '/dev/rbd0p1', '-o', '/dev/rbd/../sda', None])
    def test_only_devices_of_rbd_are_unmapped(self, ceph_host, device):
        with pytest.raises(ValueError):
            rbd_privsep.unmap_device(device, None, None, None, None)
        assert ceph_host.calls == []

    def test_names_are_checked_again(self, ceph_host):
        with pytest.raises(exception.BrickException):
            rbd_privsep.map_volume('volumes/--conf=x', None, None, None, None)
        assert ceph_host.calls == []

    def test_rb_25_root_writes_the_file(self, temporary):
        path = rbd_privsep.root_create_ceph_conf(tuple(fake_ceph.HOSTS), tuple(fake_ceph.PORTS), 'ceph', 'cinder',
                                                 fake_ceph.KEYRING)
        with open(path) as stream:
            assert stream.read() == CONF
        assert rbd_privsep.delete_if_exists(path) is None
        assert os.listdir(temporary) == []

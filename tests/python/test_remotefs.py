# SPDX-License-Identifier: Apache-2.0
"""Mounting shares, and the connectors over them."""

import hashlib
import threading

from oslo_concurrency import processutils as putils
import pytest

from mount_host import SHARE, V42
from mount_host import base, machine, nfs, options_tried

from os_brick import exception
from os_brick.remotefs import remotefs
from os_brick.remotefs import vzstorage_share

V41 = ('-o', 'vers=4,minorversion=1')


class TestClient:

    @pytest.mark.parametrize('kind, prefix', [
        ('nfs', 'nfs'), ('cifs', 'smbfs'), ('glusterfs', 'glusterfs'),
        ('vzstorage', 'vzstorage'), ('quobyte', 'quobyte'), ('scality', 'scality')])
    def test_rf_06_each_type_has_its_base(self, kind, prefix):
        client = remotefs.RemoteFsClient(kind, 'sudo', **{f'{prefix}_mount_point_base': '/base'})
        assert client.get_mount_base() == '/base'
        for wrong in ({}, {f'{prefix}_mount_point_base': ''}, {'x_mount_point_base': '/base'}):
            with pytest.raises(exception.InvalidParameterValue) as caught:
                remotefs.RemoteFsClient(kind, 'sudo', **wrong)
            assert str(caught.value) == f'{prefix}_mount_point_base required'

    @pytest.mark.parametrize('kind', ['smbfs', 'NFS', '', 'ext4'])
    def test_rf_06_unknown_types(self, kind):
        with pytest.raises(exception.ProtocolNotSupported) as caught:
            remotefs.RemoteFsClient(kind, 'sudo', nfs_mount_point_base='/base')
        assert str(caught.value) == f'Connect to volume via protocol {kind} not supported.'

    def test_rf_05_the_name_is_md5_not_for_security(self, monkeypatch):
        real = hashlib.md5

        def fips(data, *, usedforsecurity=True):
            if usedforsecurity:
                raise ValueError('disabled for FIPS')
            return real(data, usedforsecurity=False)

        monkeypatch.setattr(hashlib, 'md5', fips)
        client = remotefs.RemoteFsClient('nfs', None, nfs_mount_point_base='/mnt/test')
        assert client.get_mount_point('172.18.194.100:/var/nfs') == (
            '/mnt/test/df0808229363aad55c27da50c38d6328')
        assert client._get_hash_str(b'172.18.194.100:/var/nfs') == (
            'df0808229363aad55c27da50c38d6328')

    def test_rf_03_mounts_are_read_from_proc(self, machine, base):
        machine.mounts.write_bytes(b'nas:/a\\040b /mnt/a\\040b\\134c nfs4 rw 0 0\n\n'
                                   b'# a comment of three words\n'
                                   b'/dev/sda /mnt/\xff ext4 rw 0 0\n'
                                   b'nas:/vol /mnt/vol nfs rw 0 0')
        assert nfs(machine, base)._read_mounts() == {
            '/mnt/a b\\c': 'nas:/a b', '/mnt/\udcff': '/dev/sda', '/mnt/vol': 'nas:/vol'}
        assert machine.commands == []

    def test_mount(self, machine, base):
        client = nfs(machine, base)
        client.mount(SHARE)
        path = client.get_mount_point(SHARE)
        assert machine.mounted() == [(SHARE, path)]
        assert machine.commands == [
            ('mkdir', '-p', path),
            ('mount', '-t', 'nfs', *V42, SHARE, path)]

    def test_rf_07_what_is_mounted_is_left_alone(self, machine, base, debug_log):
        client = nfs(machine, base)
        client.mount(SHARE)
        machine.commands.clear()
        debug_log.clear()
        client.mount(SHARE)
        assert machine.commands == []
        assert [(record.levelname, record.getMessage()) for record in debug_log.records] == [
            ('DEBUG', f'Already mounted: {client.get_mount_point(SHARE)}')]

    def test_rf_07_a_base_behind_a_link(self, machine, tmp_path):
        (tmp_path / 'real').mkdir()
        (tmp_path / 'link').symlink_to(tmp_path / 'real')
        client = nfs(machine, str(tmp_path / 'link'))
        name = client.get_mount_point(SHARE).rpartition('/')[2]
        machine.add(SHARE, tmp_path / 'real' / name)
        client.mount(SHARE)
        assert machine.commands == []

    def test_rf_01_another_process_is_quicker(self, machine, base):
        machine.before_mount = [lambda device, path: (device, path) in machine.mounted()
                                or machine.add(device, path)]
        client = nfs(machine, base)
        client.mount(SHARE)
        assert machine.mounted() == [(SHARE, client.get_mount_point(SHARE))]
        assert len(machine.ran('mount')) == 1

    def test_rf_01_another_process_is_quicker_and_mount_says_so_in_other_words(self, machine, base):
        def quicker(device, path):
            machine.add(device, path)
            raise putils.ProcessExecutionError(stderr='Einhängepunkt ist belegt', exit_code=32)

        machine.before_mount = [quicker]
        client = remotefs.RemoteFsClient('glusterfs', 'sudo', execute=machine.execute,
                                         glusterfs_mount_point_base=base)
        client.mount(SHARE)
        assert machine.mounted() == [(SHARE, client.get_mount_point(SHARE))]

    def test_rf_01_a_caller_that_asks_again_itself(self, machine, base, tmp_path):
        """Drivers call _mount_nfs with paths of their own."""
        client = nfs(machine, base)
        path = str(tmp_path)
        client._mount_nfs(SHARE, path)
        client._mount_nfs(SHARE, path, ['-o', 'ro'])
        assert machine.mounted() == [(SHARE, path)]

    def test_rf_01_another_share_there_is_no_success(self, machine, base, tmp_path):
        machine.add('nas:/other', str(tmp_path))
        with pytest.raises(exception.BrickException):
            nfs(machine, base)._mount_nfs('nas:/secret', str(tmp_path))

    def test_rf_01_threads_mount_once(self, machine, base):
        """GlusterFS would be mounted over itself."""
        client = remotefs.RemoteFsClient('glusterfs', 'sudo', execute=machine.execute,
                                         glusterfs_mount_point_base=base)
        ready = threading.Barrier(4)
        read = client._read_mounts

        def read_mounts():
            answer = read()
            if threading.current_thread() not in waited:
                waited.add(threading.current_thread())
                ready.wait(10)
            return answer

        waited = set()
        client._read_mounts = read_mounts
        threads = [threading.Thread(target=client.mount, args=('nas:vol',)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert machine.mounted() == [('nas:vol', client.get_mount_point('nas:vol'))]

    def test_rf_02_busy_and_not_mounted(self, machine, base):
        def busy(device, path):
            raise putils.ProcessExecutionError(
                stderr=f'mount.nfs: {path} is busy or already mounted', exit_code=32)

        machine.before_mount = [busy]
        with pytest.raises(exception.BrickException, match='busy or already mounted'):
            nfs(machine, base).mount(SHARE)
        gluster = remotefs.RemoteFsClient('glusterfs', 'sudo', execute=machine.execute,
                                          glusterfs_mount_point_base=base)
        with pytest.raises(putils.ProcessExecutionError):
            gluster.mount(SHARE)

    @pytest.mark.parametrize('versions, tried', [
        (('4.2', '4.1', None), [V42]),
        (('4.1', None), [V42, V41]),
        ((None,), [V42, V41, ()])])
    def test_rf_04_newer_versions_come_first(self, machine, base, versions, tried):
        machine.server.versions = versions
        nfs(machine, base).mount(SHARE)
        assert options_tried(machine) == tried

    def test_rf_04_options_are_kept(self, machine, base):
        machine.server.versions = (None,)
        nfs(machine, base, ' rw, minorversion=1,hard').mount(SHARE, ['-o', 'ro', '-v'])
        assert options_tried(machine) == [
            ('-o', 'rw,hard,vers=4,minorversion=2', '-o', 'ro', '-v'),
            ('-o', 'rw,hard,vers=4,minorversion=1', '-o', 'ro', '-v'),
            ('-o', ' rw, minorversion=1,hard', '-o', 'ro', '-v')]

    @pytest.mark.parametrize('options', ['vers=3', 'rw,nfsvers=4.1', 'hard, v3', 'v4.2,ro'])
    def test_rf_04_a_version_of_the_caller_is_used(self, machine, base, options):
        client = nfs(machine, base, options)
        machine.server.shares.clear()
        with pytest.raises(exception.BrickException):
            client.mount(SHARE)
        assert options_tried(machine) == [('-o', options)]

    @pytest.mark.parametrize('flags', [
        ['-o', 'ro,vers=3'], ['-overs=3'], ['--options', 'nfsvers=3'], ['--options=v3'],
        ['-v', '-o', 'ro', '-o', 'vers=3']])
    def test_rf_04_a_version_among_the_flags_is_used(self, machine, base, flags):
        machine.server.shares.clear()
        with pytest.raises(exception.BrickException):
            nfs(machine, base).mount(SHARE, flags)
        assert options_tried(machine) == [tuple(flags)]

    def test_rf_04_all_errors_are_told(self, machine, base):
        machine.server.versions = ('4.1', None)
        machine.server.shares.clear()
        with pytest.raises(exception.BrickException) as caught:
            nfs(machine, base).mount(SHARE)
        text = str(caught.value)
        assert text.startswith(f"NFS mount failed for share {SHARE}. Error - {{'nfs_4.2': ")
        assert text.count('Protocol not supported') == 1
        assert text.count('access denied by server') == 2
        assert text.index("'nfs_4.1'") < text.index("'nfs'")

    def test_other_types_raise_what_mount_said(self, machine, base):
        client = remotefs.RemoteFsClient(
            'quobyte', 'sudo', execute=machine.execute, quobyte_mount_point_base=base,
            quobyte_mount_options='ro')
        with pytest.raises(putils.ProcessExecutionError) as caught:
            client.mount('nowhere/vol', ['-v'])
        assert caught.value.stderr == 'access denied by server'
        assert machine.ran('mount') == [
            ('mount', '-t', 'quobyte', '-o', 'ro', '-v', 'nowhere/vol',
             client.get_mount_point('nowhere/vol'))]

    @pytest.mark.parametrize('share', ['', '  ', None, 7, '-o', '--bind', 'nas:/a\nb', 'nas:/\0'])
    def test_no_share(self, machine, base, share):
        with pytest.raises(exception.InvalidParameterValue) as caught:
            nfs(machine, base).mount(share)
        assert str(caught.value) == f'nfs share {share!r} cannot be mounted'
        assert machine.commands == []

    def test_the_root_helper_is_passed_on(self, machine, base):
        seen = []
        client = remotefs.RemoteFsClient(
            'nfs', 'sudo helper', nfs_mount_point_base=base,
            execute=lambda *cmd, **kwargs: seen.append((cmd[0], kwargs)) or ('', ''))
        client.mount(SHARE)
        assert seen == [('mkdir', {'check_exit_code': 0}),
                        ('mount', {'check_exit_code': 0, 'run_as_root': True,
                                   'root_helper': 'sudo helper'})]


class TestScality:

    def client(self, machine, base):
        return remotefs.ScalityRemoteFsClient('scality', 'sudo', execute=machine.execute,
                                              scality_mount_point_base=base)

    def test_rf_08_one_file_system(self, machine, base):
        client = self.client(machine, base + '/')
        assert client.get_mount_point('vol') == base + '/vol/00'
        for _ in range(2):
            client.mount('whatever', ['-v'])
        assert machine.commands == [
            ('mkdir', '-p', base),
            ('mount', '-t', 'sofs', '/etc/sfused.conf', base)]

    @pytest.mark.parametrize('base', ['', None, '/'])
    def test_rf_08_no_base(self, machine, base):
        with pytest.raises(exception.InvalidParameterValue) as caught:
            self.client(machine, base)
        assert str(caught.value) == 'scality_mount_point_base required'


class TestVZStorage:

    @pytest.fixture
    def client(self, machine, base):
        return remotefs.VZStorageRemoteFSClient(
            'vzstorage', 'sudo', execute=machine.execute, vzstorage_mount_point_base=base)

    @pytest.mark.parametrize('share, servers, cluster, password', [
        ('cluster', [], 'cluster', None),
        ('cluster:S3cret', [], 'cluster', 'S3cret'),
        ('cluster:12345', [], 'cluster', '12345'),
        ('cluster:a:/b', [], 'cluster', 'a:/b'),
        ('10.0.0.1:/cluster', ['10.0.0.1'], 'cluster', None),
        ('mds1:2510,[fd00::1]:2510:/my-cl_1:p:/w', ['mds1:2510', '[fd00::1]:2510'], 'my-cl_1',
         'p:/w')])
    def test_shares(self, share, servers, cluster, password):
        assert vzstorage_share.parse(share) == (servers, cluster, password)

    @pytest.mark.parametrize('share, shown', [
        (':', ':***'), ('-c', '-c'), ('a b:S3cret', 'a b:***'), ('mds:/bad!:S3cret', 'mds:***'),
        ('-x:/cluster:S3cret', '-x:***'), ('cluster:S3 cret', 'cluster:***')])
    def test_se_12_no_share(self, client, machine, share, shown):
        with pytest.raises(exception.BrickException) as caught:
            client.mount(share)
        assert repr(shown) in str(caught.value) and 'cret' not in str(caught.value)
        assert machine.commands == []

    def test_plain(self, client, machine):
        client.mount('cluster', ['-u', 'nova'])
        client.mount('cluster')
        path = client.get_mount_point('cluster')
        assert machine.commands == [('mkdir', '-p', path),
                                    ('pstorage-mount', '-c', 'cluster', '-u', 'nova', path)]

    def test_se_12_the_password_goes_to_standard_input(self, client, machine, debug_log):
        share = 'mds1,mds2:2510:/cluster:S3cret'
        client.mount(share)
        auth = ('pstorage', '-c', 'cluster', 'auth-node', '-P')
        assert machine.inputs == [(auth, 'S3cret')]
        assert [cmd[0] for cmd in machine.commands] == [
            'mkdir', 'cp', 'chown', 'pstorage', 'pstorage-mount']
        assert 'S3cret' not in str(machine.commands) + debug_log.text
        assert (machine.root / 'clusters/cluster/bs_list').read_text() == 'mds1\nmds2:2510\n'

    def test_the_servers_of_a_known_cluster_are_replaced(self, client, machine, monkeypatch):
        monkeypatch.setattr(remotefs.tempfile, 'tempdir', str(machine.root / 'tmp'))
        (machine.root / 'tmp').mkdir()
        known = machine.root / 'clusters/cluster'
        known.mkdir()
        (known / 'auth').write_text('kept')
        client.mount('mds3:/cluster')
        assert {file.name: file.read_text() for file in known.iterdir()} == {
            'auth': 'kept', 'bs_list': 'mds3\n'}
        assert machine.ran('cp')[0][1] == '-f'
        assert list((machine.root / 'tmp').iterdir()) == []

    def test_se_12_a_failure_does_not_tell_it(self, client, machine, debug_log):
        with pytest.raises(putils.ProcessExecutionError) as caught:
            client.mount('other:S3cret')
        assert caught.value.stderr == 'usage'
        assert 'S3cret' not in str(caught.value) + repr(caught.value) + debug_log.text

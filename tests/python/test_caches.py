# SPDX-License-Identifier: Apache-2.0
import pytest

from oslo_concurrency import processutils as putils

from os_brick import caches
from os_brick import exception
from os_brick.caches import opencas

HEAD = 'type    id   disk           status    write policy   device'


class Casadm:
    """Open CAS with two running caches; device /dev/cas<cache>-<core> for each core."""

    def __init__(self):
        self.commands = []
        self.policy = 'wt'
        self.status = 'Running'
        self.cores = {('1', '1'): '/dev/none-aa', ('2', '1'): '/dev/none-b'}
        self.exports = True
        self.fails = None

    def __call__(self, *cmd, **kwargs):
        assert all(isinstance(word, str) for word in cmd)
        assert kwargs == {'run_as_root': True, 'root_helper': 'sudo'}
        self.commands.append(' '.join(cmd))
        if self.fails and self.fails in cmd:
            raise putils.ProcessExecutionError(stdout='out', stderr='err', exit_code=1, cmd=' '.join(cmd))
        options = dict(zip(cmd[1:], cmd[2:]))
        if cmd[1] == '-L':
            return '\n'.join(self.lines()) + '\n', ''
        if cmd[1] == '-A':
            self.cores[(options['-i'], '7')] = options['-d']
        if cmd[1] == '-R':
            del self.cores[(options['-i'], options['-j'])]
        return '', ''

    def lines(self):
        yield HEAD
        for cache in ('1', '2'):
            yield f'cache   {cache}    /dev/nvme{cache}n1   {self.status}   {self.policy}             -'
            for (owner, core), disk in self.cores.items():
                if owner == cache:
                    exported = f'/dev/cas{cache}-{core}' if self.exports else '-'
                    yield f'\u2514core   {core}    {disk}       Active    -              {exported}'
        yield ''


@pytest.fixture
def casadm():
    return Casadm()


def manager(casadm, data=None, **kwargs):
    info = {'driver_volume_type': 'iscsi', 'serial': 'volume-1',
            'data': {'device_path': '/dev/none-a', 'cacheable': True} if data is None else data}
    return caches.CacheManager('sudo', info, **{
        'cache_name': 'opencas', 'opencas_cache_id': 1, 'execute': casadm, **kwargs})


class TestManager:

    def test_a_cacheable_volume(self, casadm):
        found = manager(casadm)
        assert (found.ori_device_path, found.cacheable, found.engine_name) == ('/dev/none-a', True, 'opencas')
        assert type(found.engine) is opencas.OpenCASEngine
        assert found.attach_volume() == '/dev/cas1-7'
        assert casadm.commands == ['casadm -L', 'casadm -A -i 1 -d /dev/none-a', 'casadm -L']

    def test_detach(self, casadm):
        casadm.cores[('1', '7')] = '/dev/none-a'
        found = manager(casadm, {'device_path': '/dev/cas1-7', 'cacheable': True})
        assert found.detach_volume() == '/dev/none-a'
        assert casadm.commands == ['casadm -L', 'casadm -L', 'casadm -R -f -i 1 -j 7']
        assert casadm.cores == {('1', '1'): '/dev/none-aa', ('2', '1'): '/dev/none-b'}

    @pytest.mark.parametrize('data', [{'device_path': '/dev/x'}, {'device_path': '/dev/x', 'cacheable': False}])
    def test_another_volume(self, casadm, data):
        found = manager(casadm, data, cache_name='none')
        assert (found.attach_volume(), found.detach_volume(), found.cacheable) == ('/dev/x', '/dev/x', False)
        assert casadm.commands == []

    def test_no_device(self, casadm):
        with pytest.raises(exception.VolumeLocalCacheNotSupported) as caught:
            manager(casadm, {'cacheable': True})
        assert str(caught.value) == 'Volume local cache is not supported for iscsi volume volume-1.'

    @pytest.mark.parametrize('name', ['none', None])
    def test_no_engine(self, casadm, name):
        with pytest.raises(exception.Invalid, match='^No valid cache engine$'):
            manager(casadm, cache_name=name)

    @pytest.mark.parametrize('cache_id', [3, None])
    def test_no_cache(self, casadm, cache_id):
        with pytest.raises(exception.Invalid, match='^No valid cache engine$'):
            manager(casadm, opencas_cache_id=cache_id)

    def test_a_stopped_cache(self, casadm):
        casadm.status = 'Stopping'
        with pytest.raises(exception.Invalid, match='^No valid cache engine$'):
            manager(casadm)


class TestOpenCAS:

    @pytest.fixture
    def engine(self, casadm):
        return opencas.OpenCASEngine(root_helper='sudo', execute=casadm, opencas_cache_id=1)

    @pytest.mark.parametrize('verb', ['attach_volume', 'detach_volume'])
    def test_cf_10_no_path(self, engine, casadm, verb):
        with pytest.raises(exception.VolumePathsNotFound):
            getattr(engine, verb)()
        assert casadm.commands == []

    def test_cf_10_the_cached_device_is_not_listed(self, engine, casadm):
        casadm.exports = False
        with pytest.raises(exception.BrickException, match='^Cannot find emulated device.$'):
            engine.attach_volume(dev_path='/dev/none-a')
        assert casadm.commands[-1] == 'casadm -R -f -i 1 -j 7'
        assert ('1', '7') not in casadm.cores

    def test_cf_10_the_core_is_not_listed(self, engine, casadm):
        with pytest.raises(exception.BrickException, match='^Cannot find core device.$'):
            engine.detach_volume(dev_path='/dev/cas1-9')
        assert casadm.commands == ['casadm -L']

    def test_a_core_of_another_cache_is_not_ours(self, engine):
        with pytest.raises(exception.BrickException, match='^Cannot find core device.$'):
            engine.detach_volume(dev_path='/dev/cas2-1')

    def test_names_are_compared_whole(self, engine):
        assert engine.attach_volume(dev_path='/dev/none-a') == '/dev/cas1-7'
        assert engine._get_mapped_casdev('/dev/none-aa') == '/dev/cas1-1'
        assert engine._get_mapped_coredev('/dev/cas1-7') == ('7', '/dev/none-a')

    def test_links_are_followed(self, engine, casadm, tmp_path):
        link = tmp_path / 'wwn-1'
        link.symlink_to('/dev/none-a')
        assert engine.attach_volume(dev_path=str(link)) == '/dev/cas1-7'
        casadm.cores[('1', '7')] = str(link)
        assert engine._get_mapped_casdev('/dev/none-a') == '/dev/cas1-7'

    @pytest.mark.parametrize('policy', ['wb', 'wo'])
    def test_what_is_in_the_cache_alone_is_written_first(self, engine, casadm, policy):
        casadm.policy = policy
        engine.detach_volume(dev_path='/dev/cas1-1')
        assert casadm.commands == ['casadm -L', 'casadm -F -i 1 -j 1', 'casadm -R -f -i 1 -j 1']

    def test_a_failed_flush_keeps_the_core(self, engine, casadm):
        casadm.policy = 'wb'
        casadm.fails = '-F'
        with pytest.raises(putils.ProcessExecutionError):
            engine.detach_volume(dev_path='/dev/cas1-1')
        assert ('1', '1') in casadm.cores

    def test_errors_are_logged_and_raised(self, engine, casadm, caplog):
        casadm.fails = '-A'
        with pytest.raises(putils.ProcessExecutionError):
            engine.attach_volume(dev_path='/dev/none-a')
        assert [record.getMessage() for record in caplog.records if record.levelname == 'ERROR'] == [
            'Cmd     :casadm -A -i 1 -d /dev/none-a', 'StdOut  :out', 'StdErr  :err']

    def test_ready(self, engine, casadm):
        assert engine.is_engine_ready() is True
        assert casadm.commands == ['casadm -L']

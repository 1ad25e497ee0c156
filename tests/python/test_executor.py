# SPDX-License-Identifier: Apache-2.0
import pytest

from oslo_concurrency import processutils as putils
from oslo_context import context

from os_brick import executor
from os_brick.privileged import rootwrap


def test_the_default_runs_through_rootwrap():
    holder = executor.Executor('sudo')
    assert holder._injected_execute() is None
    assert holder._execute('echo', 'hello') == ('hello\n', '')


def test_none_means_the_default_also_later():
    holder = executor.Executor(None, execute=lambda *cmd, **kwargs: ('', ''))
    assert holder._injected_execute() is not None
    holder.set_execute(None)
    assert holder._injected_execute() is None
    holder.set_execute(rootwrap.execute)
    assert holder._injected_execute() is None


def test_px_10_an_own_execute_gets_every_call_with_the_root_helper():
    calls = []

    def own(*cmd, **kwargs):
        calls.append((cmd, kwargs))
        return b'out', b'err'

    holder = executor.Executor('sudo helper', execute=own)
    assert holder._execute('a', 'b', run_as_root=True) == ('out', 'err')
    assert holder._injected_execute()('c', run_as_root=True, check_exit_code=[0, 21]) == (
        'out', 'err')
    holder.set_root_helper('other')
    holder._injected_execute()('d')
    assert calls == [
        (('a', 'b'), {'run_as_root': True}),
        (('c',), {'run_as_root': True, 'check_exit_code': [0, 21],
                  'root_helper': 'sudo helper'}),
        (('d',), {'root_helper': 'other'})]


def test_a_timeout_reaches_every_execute_that_takes_one():
    calls = []

    def any_keyword(*cmd, **kwargs):
        calls.append(kwargs.get('timeout'))
        return '', ''

    def named(*cmd, timeout=None, root_helper=None):
        calls.append(timeout)
        return '', ''

    def without(*cmd, root_helper=None):
        calls.append('none')
        return '', ''

    for own in (any_keyword, named, without):
        executor.Executor('sudo', execute=own)._injected_execute()('a', timeout=60)
    assert calls == [60, 60, 'none']


@pytest.mark.parametrize('given, text', [
    (b'registros le\xeddos', 'registros ledos'),
    ('registros le\udceddos', 'registros ledos'),
    ('le\u00eddos', 'le\u00eddos'), ('', ''), (None, None), (('a', 'b'), ('a', 'b'))])
def test_px_06_undecodable_output_is_dropped(given, text):
    assert executor.Executor.safe_decode(given) == text


def test_px_06_errors_are_made_printable():
    def own(*cmd, **kwargs):
        raise putils.ProcessExecutionError(stdout=b'le\xeddos', stderr='\udced!', exit_code=3,
                                           cmd=b'dd \xed', description=b'\xed?')

    with pytest.raises(putils.ProcessExecutionError) as caught:
        executor.Executor(None, execute=own)._execute('dd')
    exc = caught.value
    assert (exc.stdout, exc.stderr, exc.cmd, exc.description, exc.exit_code) == (
        'ledos', '!', 'dd ', '?', 3)


def test_px_12_threads_carry_the_request_context():
    seen = []
    before = context.RequestContext(request_id='req-1', overwrite=True)
    thread = executor.Thread(target=lambda: seen.append(context.get_current().request_id))
    thread.start()
    thread.join()
    assert seen == [before.request_id]

# SPDX-License-Identifier: Apache-2.0
"""`os-brick doctor` on what services share: lock directory, the privileged helper, rootwrap's filters."""

import os

import pytest

from doctor_host import FILTERS, bad, examine, host, ok, skipped

from os_brick.cli.doctor import rootwrap

LOCKS = '/run/lock/os-brick'
ONE = 'set the same lock_path in [os_brick] of all services'
NONE = ('no configuration of a service was found (/etc/nova/nova.conf, /etc/cinder/cinder.conf, '
        '/etc/glance/glance-api.conf, /etc/os-brick/os-brick.conf)')


@pytest.fixture
def tree():
    with host() as made:
        yield made


def locks(tree, *arguments):
    return examine(tree, *arguments)['lock_directory']


def mode(bits):
    return f'{LOCKS}, mode {bits}, owner {os.getuid()}:{os.getgid()}'


def test_services_that_lock_elsewhere(tree):
    tree.write('etc/cinder/cinder.conf', '[DEFAULT]\nstate_path = /srv/cinder\n'
                                         '[oslo_concurrency]\nlock_path = $state_path/tmp\n')
    found = locks(tree)
    assert (found['verdict'], found['evidence'][:3]) == ('error', [
        f'{LOCKS}: /etc/nova/nova.conf', '/srv/cinder/tmp: /etc/cinder/cinder.conf',
        'services that lock elsewhere do not exclude each other'])
    assert found['remedy'].startswith(ONE)


def test_a_service_without_a_lock_path(tree):
    tree.write('etc/nova/nova.conf', '[DEFAULT]\ndebug = true\n')
    assert locks(tree) == bad('error', ONE, '/etc/nova/nova.conf has no lock_path, in [os_brick] or [oslo_concurrency]',
                              mode('1777'))


def test_only_the_files_that_were_named_count(tree):
    tree.write('srv/a.conf', '[os_brick]\nlock_path = relative\n')
    assert locks(tree, '--config-file', '/srv/a.conf') == bad('error', ONE, 'relative is no absolute path')


@pytest.mark.parametrize('kind', ['nfs4', 'overlay'])
def test_locks_that_other_hosts_have_too(tree, kind):
    tree.write('proc/mounts', f'/dev/vda1 / ext4 rw 0 0\nstore:/a /run/lock {kind} rw 0 0\n')
    assert locks(tree) == bad('error', 'a directory on a local file system, such as one in /run/lock',
                              f'{LOCKS} is on {kind}')


def test_a_directory_that_is_not_there(tree):
    tree.remove('run/lock')
    assert locks(tree) == bad(
        'warning', f'install -d -m 1777 {LOCKS}, at every start if it is in /run',
        f'{LOCKS} does not exist; the first service that attaches makes it, as its own')
    tree.write('run/lock/os-brick', '')
    assert locks(tree) == bad('error', ONE, f'{LOCKS} is no directory')


def test_lock_files_that_others_cannot_open(tree):
    file = f'{LOCKS}/os-brick-volumes'
    tree.path(file[1:]).chmod(0o644)
    assert locks(tree) == bad('error', f'chmod 0666 {file}', f'{file} has mode 0644: other services cannot lock it')
    tree.remove(file[1:])
    tree.path(file[1:]).mkdir()
    assert locks(tree) == bad('error', f'rm {file}', f'{file} is no regular file')


def test_a_directory_that_is_one_services_own(tree):
    tree.path('run/lock/os-brick').chmod(0o755)
    assert locks(tree) == ok(mode('0755'))
    tree.remove('run/lock/os-brick/os-brick-sessions')
    assert locks(tree) == bad('warning', f'chmod 1777 {LOCKS}', mode('0755'),
                              'not every service may make the lock files: os-brick-sessions')
    tree.path('run/lock/os-brick').chmod(0o777)
    assert locks(tree) == bad('warning', f'chmod 1777 {LOCKS}', mode('0777'), 'everybody may remove the lock files')


def test_a_file_that_cannot_be_parsed_shows_nothing_of_itself(tree):
    tree.write('etc/nova/nova.conf', '[os_brick]\npassword s3cret\n')
    tree.remove('etc/cinder')
    found = examine(tree)
    for name in ('lock_directory', 'privsep'):
        assert found[name] == skipped('/etc/nova/nova.conf cannot be parsed, line 2')


@pytest.mark.skipif(os.geteuid() == 0, reason='root reads everything')
def test_a_file_that_only_root_can_read(tree):
    tree.path('etc/nova/nova.conf').chmod(0)
    assert locks(tree)['evidence'][0] == '/etc/nova/nova.conf cannot be read by this user'


def test_a_host_without_services(tree):
    tree.remove('etc/nova')
    tree.remove('etc/cinder')
    found = examine(tree)
    # The directory of attaches by hand.
    assert found['lock_directory'] == ok(mode('1777'))
    assert found['privsep'] == skipped(NONE)
    assert found['rootwrap'] == skipped('no service starts the helper through rootwrap')
    tree.remove('run/lock')
    assert examine(tree)['lock_directory'] == skipped(NONE)


def nova(tree, command):
    tree.write('etc/nova/nova.conf', f'[os_brick]\nlock_path = {LOCKS}\n[privsep_osbrick]\nhelper_command = {command}\n')
    return examine(tree, '--config-file', '/etc/nova/nova.conf')


CORRECT = 'correct [privsep_osbrick] helper_command'


@pytest.mark.parametrize('command, verdict, remedy, evidence', [
    ("sudo 'privsep-helper", 'error', CORRECT, 'helper_command: No closing quotation'),
    ('sudo nova-helper', 'error', CORRECT, 'helper_command does not start privsep-helper: sudo nova-helper'),
    ('sudo nova-rootwrap /etc/nova/none.conf privsep-helper', 'error', f'install it, or {CORRECT}',
     'sudo nova-rootwrap /etc/nova/none.conf privsep-helper: there is no /etc/nova/none.conf'),
    ('doas /opt/privsep-helper', 'error', f'install it, or {CORRECT}',
     'doas /opt/privsep-helper: not found: doas, /opt/privsep-helper'),
    ('/usr/bin/privsep-helper --config-file /etc/nova/nova.conf', 'ok', None,
     '/usr/bin/privsep-helper --config-file /etc/nova/nova.conf'),
])
def test_commands_that_start_the_helper(tree, command, verdict, remedy, evidence):
    assert nova(tree, command)['privsep'] == bad(verdict, remedy, f'/etc/nova/nova.conf: {evidence}')


def test_programs_that_are_missing(tree):
    tree.remove('usr/bin/nova-rootwrap')
    tree.remove('usr/bin/privsep-helper')
    found = examine(tree, '--config-file', '/etc/nova/nova.conf')['privsep']
    assert found == bad('error', f'install it, or {CORRECT}',
                        '/etc/nova/nova.conf: sudo nova-rootwrap /etc/nova/rootwrap.conf privsep-helper --config-file '
                        '/etc/nova/nova.conf: not found: nova-rootwrap, privsep-helper')
    # Where kolla has them, once rootwrap looks there.
    for name in ('nova-rootwrap', 'privsep-helper'):
        tree.write(f'var/lib/kolla/venv/bin/{name}', '').chmod(0o755)
    assert examine(tree, '--config-file', '/etc/nova/nova.conf')['privsep']['verdict'] == 'ok'


def test_sudo_that_allows_nothing(tree):
    tree.write('etc/sudoers.d/nova', '# nova ALL = (root) NOPASSWD: /usr/bin/nova-rootwrap\n'
                                     'nova ALL = (root) /usr/bin/nova-rootwrap\n')
    found = examine(tree, '--config-file', '/etc/nova/nova.conf')['privsep']
    assert found == bad('error', 'nova ALL = (root) NOPASSWD: nova-rootwrap ... in /etc/sudoers.d/nova',
                        '/etc/nova/nova.conf: sudo nova-rootwrap /etc/nova/rootwrap.conf privsep-helper --config-file '
                        '/etc/nova/nova.conf', 'no rule of sudo allows nova-rootwrap without a password')
    for rule in ('nova ALL=(ALL) NOPASSWD:ALL', '%ops ALL = NOPASSWD: \\\n  /usr/bin/nova-rootwrap /etc/nova/*'):
        tree.write('etc/sudoers', rule + '\n')
        assert examine(tree, '--config-file', '/etc/nova/nova.conf')['privsep']['verdict'] == 'ok'


def test_options_of_sudo_are_no_programs(tree):
    command = 'sudo -n -u root /usr/bin/privsep-helper'
    tree.write('etc/sudoers.d/nova', 'nova ALL = (root) NOPASSWD: /usr/bin/privsep-helper\n')
    assert nova(tree, command)['privsep'] == ok(f'/etc/nova/nova.conf: {command}')


def glance(tree, text):
    tree.remove('etc/nova')
    tree.remove('etc/cinder')
    tree.write('etc/glance/glance-api.conf', text)
    return locks(tree)


@pytest.mark.parametrize('text', ['[DEFAULT]\nenabled_backends = fast:cinder, slow:file\n',
                                  '[glance_store]\nstores = file,glance.store.cinder.Store\n'])
def test_glance_counts_when_it_stores_in_cinder(tree, text):
    assert glance(tree, text)['evidence'][0] == \
        '/etc/glance/glance-api.conf has no lock_path, in [os_brick] or [oslo_concurrency]'


def test_glance_does_not_count_when_it_stores_elsewhere(tree):
    assert glance(tree, '[DEFAULT]\nenabled_backends = slow:file\n') == ok(mode('1777'))


def wrapped(tree):
    return examine(tree, '--config-file', '/etc/nova/nova.conf')['rootwrap']


ARGV = ('privsep-helper --config-file /etc/nova/nova.conf --privsep_context os_brick.privileged.default '
        '--privsep_sock_path /tmp/tmpabcdefgh/privsep.sock')


def test_filters_that_name_the_helper_nowhere(tree):
    """The wrapper lets it pass all the same: `deployment/rootwrap` of the lab shows that."""
    tree.write('usr/share/os-brick/rootwrap/os-brick.filters', FILTERS.read_text().replace(
        'os_brick.privileged.default', 'vif_plug_ovs.privsep.vif_plug'))
    assert wrapped(tree) == ok(
        '/etc/nova/rootwrap.conf: filters_path /etc/nova/rootwrap.d, /usr/share/os-brick/rootwrap',
        f'no filter names this, but oslo.rootwrap lets every privsep-helper pass: {ARGV}')


def test_rootwrap_without_a_path_to_filters(tree):
    """It ends at once then, whatever it is to run."""
    tree.write('etc/nova/rootwrap.conf', '[DEFAULT]\nexec_dirs = /usr/bin\n').chmod(0o644)
    assert wrapped(tree) == bad('error', 'set filters_path in [DEFAULT] of /etc/nova/rootwrap.conf',
                                '/etc/nova/rootwrap.conf: filters_path is not set')


def test_rootwrap_that_others_may_change(tree):
    tree.path('etc/nova/rootwrap.conf').chmod(0o664)
    assert wrapped(tree) == bad(
        'error', 'chown root /etc/nova/rootwrap.conf; chmod go-w /etc/nova/rootwrap.conf',
        '/etc/nova/rootwrap.conf: others than root may change it, and with it what becomes root')


@pytest.mark.parametrize('line, passes', [
    ('CommandFilter, privsep-helper, root', True),
    ('CommandFilter, /usr/bin/privsep-helper, root', True),
    ('CommandFilter, mount, root', False),
    ('RegExpFilter, privsep-helper, root, privsep-helper, --config-file, /etc/.*', False),
    ('RegExpFilter, privsep-helper, root, privsep-helper, --config-file, (, --privsep_context, .*, --privsep_sock_path, .*',
     False),
    ('KillFilter, root, privsep-helper', False),
    ('nonsense', False),
])
def test_what_a_filter_lets_pass(line, passes):
    assert rootwrap._lets_pass(rootwrap._list_of_filter(line), ARGV.split()) is passes


def test_the_filters_of_the_package_let_both_contexts_pass():
    lines = rootwrap._section(FILTERS.read_text(), 'Filters')
    for context in ('default', 'brick_privsep_hide_output'):
        argv = ARGV.replace('.default', f'.{context}').split()
        assert sum(rootwrap._lets_pass(rootwrap._list_of_filter(value), argv) for _, value in lines) == 1

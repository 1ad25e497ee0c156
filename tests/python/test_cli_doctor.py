# SPDX-License-Identifier: Apache-2.0
"""`os-brick doctor` on generated hosts: every verdict with its evidence and remedy, to the letter."""

import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

from doctor_host import LISTENER, UNIX, UUID, bad, examine, host, ok, skipped

from os_brick import cli
from os_brick.cli import doctor
from os_brick.cli.doctor import daemons
from os_brick.cli.doctor import multipath
from os_brick.cli.doctor.host import Host

@pytest.fixture
def tree():
    with host() as made:
        yield made


LINES = [
    'ok       iscsid               runs (pid 101) and listens; not asked below another root',
    'ok       manual_scan          /sbin/iscsiadm knows node.session.scan',
    'ok       initiator_name       /etc/iscsi/initiatorname.iscsi: iqn.1993-08.org.debian:01:4f2a9c71',
    'ok       multipathd           runs (pid 202) and listens; not asked below another root',
    'ok       find_multipaths      no (/etc/multipath.conf)',
    'ok       user_friendly_names  no (/etc/multipath.conf)',
    'ok       skip_kpartx          yes (/etc/multipath.conf)',
    'ok       udev                 /usr/lib/udev/rules.d/60-persistent-storage.rules',
    '                              /usr/lib/udev/rules.d/60-multipath.rules',
    '                              /usr/lib/udev/rules.d/56-dm-mpath.rules',
    f'ok       nvme_host            /etc/nvme/hostnqn: nqn.2014-08.org.nvmexpress:uuid:{UUID}',
    f'                              /etc/nvme/hostid: {UUID}',
    'ok       lock_directory       /run/lock/os-brick, mode 1777, owner {uid}:{gid}',
    'ok       privsep              /etc/nova/nova.conf: sudo nova-rootwrap /etc/nova/rootwrap.conf privsep-helper '
    '--config-file /etc/nova/nova.conf',
    '                              /etc/cinder/cinder.conf: sudo cinder-rootwrap /etc/cinder/rootwrap.conf privsep-helper '
    '--config-file /etc/cinder/cinder.conf',
    'ok       rootwrap             /usr/share/os-brick/rootwrap/os-brick.filters: privsep-rootwrap',
    '',
    '12 ok, 0 warning, 0 error, 0 skipped',
]


def program(*arguments):
    done = subprocess.run([sys.executable, '-W', 'ignore', '-m', 'os_brick.cli', 'doctor', *arguments], text=True,
                          capture_output=True, timeout=60,
                          env={**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))})
    return done.returncode, done.stdout, done.stderr


def test_a_host_that_is_set_up_well(tree):
    lines = [line.format(uid=os.getuid(), gid=os.getgid()) for line in LINES]
    code, out, err = program('--root', str(tree.root))
    assert (code, out.splitlines(), err) == (0, lines, '')


def test_an_error_is_exit_code_3_and_json_says_the_same(tree):
    tree.remove('proc/101')
    tree.write('proc/net/unix', UNIX)
    code, out, err = program('--root', str(tree.root), '--json')
    found = json.loads(out)
    assert (code, err, found['summary']) == (3, '', {'ok': 10, 'warning': 0, 'error': 2, 'skipped': 0})
    assert found['checks'][0] == {'check': 'iscsid', **bad('error', 'systemctl enable --now iscsid',
                                                           'iscsid does not run and nobody listens for it')}
    assert [check['check'] for check in found['checks']] == [
        'iscsid', 'manual_scan', 'initiator_name', 'multipathd', 'find_multipaths', 'user_friendly_names', 'skip_kpartx',
        'udev', 'nvme_host', 'lock_directory', 'privsep', 'rootwrap']
    code, out, _ = program('--root', str(tree.root))
    assert (code, out.splitlines()[:2]) == (3, [
        'error    iscsid               iscsid does not run and nobody listens for it',
        '                              -> systemctl enable --now iscsid'])


def test_an_empty_host_is_skipped_mostly(tmp_path):
    found = doctor.run(cli.parser().parse_args(['doctor', '--root', str(tmp_path)]))
    assert found['summary'] == {'ok': 0, 'warning': 0, 'error': 1, 'skipped': 11}


@pytest.mark.parametrize('arguments', [['--root', '/nonexistent'], ['--config-file', '/nonexistent']])
def test_places_that_are_not_there_are_refused(arguments, capsys):
    assert cli.main(['doctor', *arguments]) == 2
    assert '/nonexistent' in capsys.readouterr().err


def test_nothing_is_changed(tree):
    def state():
        return sorted((str(path), path.lstat().st_mtime_ns) for path in tree.root.rglob('*'))
    before = state()
    examine(tree)
    assert state() == before


def test_iscsid(tree):
    tree.write('proc/net/unix', UNIX)
    assert examine(tree)['iscsid'] == bad(
        'error', "give iscsid's container the network namespace of the host",
        'runs (pid 101), but its socket is not in this network namespace')
    tree.write('proc/net/unix', UNIX + LISTENER.format(1, '@ISCSIADM_ABSTRACT_NAMESPACE'))
    tree.remove('proc/101')
    assert examine(tree)['iscsid'] == ok(
        'somebody listens for it: systemd starts it when it is needed, or it runs in a container')
    tree.remove('sbin/iscsiadm')
    assert examine(tree)['iscsid'] == skipped('open-iscsi is not installed: no iscsiadm')


def test_manual_scan(tree):
    tree.write('sbin/iscsiadm', '#!/bin/sh\n')
    assert examine(tree)['manual_scan'] == bad(
        'warning', 'update open-iscsi to 2.0.874 or later',
        '/sbin/iscsiadm does not know node.session.scan: each login makes disks of all volumes of the target')
    tree.write('var/lib/iscsi/nodes/iqn.a/10.0.0.1,3260,1/default', 'node.session.scan = manual\n')
    assert examine(tree)['manual_scan'] == ok('/var/lib/iscsi/nodes/iqn.a/10.0.0.1,3260,1/default has node.session.scan')


NEW = ('echo "InitiatorName=$(iscsi-iname)" > /etc/iscsi/initiatorname.iscsi, restart iscsid, tell the storage; only when '
       'nothing is attached')
FILE = '/etc/iscsi/initiatorname.iscsi'


@pytest.mark.parametrize('text, verdict, remedy, evidence', [
    (None, 'error', NEW, [f'{FILE} is missing']),
    ('GenerateName=yes\n', 'error', NEW, [f'{FILE} has no line InitiatorName=']),
    ('InitiatorName=iqn.2010-10.org.a:1x\nInitiatorName=iqn.2010-10.org.a:2x\n', 'error',
     f'one line InitiatorName= in {FILE}',
     [f'{FILE}: iqn.2010-10.org.a:1x', f'{FILE}: iqn.2010-10.org.a:2x',
      'several names; which one counts depends on who reads']),
    ('InitiatorName=IQN.2010-10.org.a:x\n', 'error', NEW,
     [f'{FILE}: IQN.2010-10.org.a:x', 'no name as iSCSI has them, iqn.YYYY-MM.DOMAIN:UNIQUE in lower case']),
    *(('InitiatorName=' + name, 'error', NEW,
       [f'{FILE}: {name}', 'the name of an example or an image; other hosts have it too'])
      for name in ('iqn.2001-04.com.example:node1', 'iqn.1987-05.com.cisco:01.4438aca09387', 'iqn.1993-08.org.debian:01',
                   'iqn.1994-05.com.redhat:rhel8', 'iqn.2016-04.com.open-iscsi')),
])
def test_initiator_names(tree, text, verdict, remedy, evidence):
    tree.remove('etc/iscsi/initiatorname.iscsi') if text is None else tree.write('etc/iscsi/initiatorname.iscsi', text)
    assert examine(tree)['initiator_name'] == bad(verdict, remedy, *evidence)


def test_an_initiator_name_older_than_the_machine_is_a_clones(tree):
    now = time.time()
    os.utime(tree.path('etc/iscsi/initiatorname.iscsi'), (now - 7200, now - 7200))
    name = f'{FILE}: iqn.1993-08.org.debian:01:4f2a9c71'
    assert examine(tree)['initiator_name'] == bad(
        'warning', f'compare with other hosts; if one has it: {NEW}', name,
        'older than /etc/machine-id: the image may have brought it to every clone')


def test_sessions_under_another_name_are_seen(tree):
    session = 'sys/devices/platform/host2/session1/iscsi_session/session1'
    for name, value in (('initiatorname', 'iqn.1993-08.org.debian:01:other'), ('ifacename', 'default'),
                        ('targetname', 'iqn.a'), ('state', 'LOGGED_IN')):
        tree.write(f'{session}/{name}', value + '\n')
    tree.path('sys/class/iscsi_session').mkdir(parents=True)
    tree.path('sys/class/iscsi_session/session1').symlink_to(f'../../../{session}')
    found = examine(tree)['initiator_name']
    assert (found['verdict'], found['evidence'][-2:]) == ('warning', [
        '/sys/class/iscsi_session/session1/initiatorname: iqn.1993-08.org.debian:01:other', 'sessions have another name'])


class Multipathd:
    """Answers as multipathd does, over its socket; `hang` takes questions and answers none."""

    CONFIG = 'defaults {\n\tverbosity 2\n\tfind_multipaths "strict"\n\tuser_friendly_names "yes"\n\tskip_kpartx "no"\n}\n' \
             'blacklist {\n\tdevnode "^(sd[a-z])"\n}\ndevices {\n\tdevice {\n\t\tfind_multipaths "never"\n\t}\n}\n'

    def __init__(self, tree, hang=False, cut=False):
        self.asked, self._hang, self._cut = [], hang, cut
        self._socket = tree.listen('run/multipathd.socket')
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            connection, _ = self._socket.accept()
            size, = struct.unpack('@N', connection.recv(8))
            self.asked.append(connection.recv(size).decode().rstrip('\0'))
            if self._hang:
                # Kept, so that it stays open.
                self.kept = connection
                continue
            if not self._cut:
                text = 'pid 202 running\n' if self.asked[-1] == 'show daemon' else self.CONFIG
                connection.sendall(struct.pack('@N', len(text) + 1) + text.encode() + b'\0')
            connection.close()


PARTITIONS = "partitions that a guest made become devices of the host, keep the map open and stand in a detach's way"


def test_a_multipathd_below_the_root_is_asked(tree):
    multipathd = Multipathd(tree)
    found = examine(tree)
    assert multipathd.asked == ['show daemon', 'show config local', 'show config local', 'show config local']
    assert found['multipathd'] == ok('runs (pid 202) and answers: pid 202 running')
    assert found['find_multipaths'] == bad(
        'warning', 'find_multipaths no in /etc/multipath.conf, local disks in its blacklist; then multipathd reconfigure',
        'strict (multipathd)', 'attaches tell multipathd the identity of each volume; a stock os-brick leaves volumes of '
                               'one path without a map')
    assert found['user_friendly_names'] == bad(
        'warning', 'user_friendly_names no in /etc/multipath.conf; maps that are there keep their names',
        'yes (multipathd)', 'mpatha is another volume on each host, and after a lost bindings file also on this one')
    assert found['skip_kpartx'] == bad(
        'warning', 'skip_kpartx yes in /etc/multipath.conf; then multipathd reconfigure', 'no (multipathd)', PARTITIONS)


def test_a_hung_multipathd_has_its_deadline_once(tree, monkeypatch):
    monkeypatch.setattr(daemons, 'DEADLINE', 0.5)
    multipathd = Multipathd(tree, hang=True)
    start = time.monotonic()
    found = examine(tree)
    assert time.monotonic() - start < 5
    assert multipathd.asked == ['show daemon']
    assert found['multipathd'] == bad('error', 'systemctl restart multipathd; maps and their I/O survive that',
                                      'runs (pid 202), but does not answer within 0.5 s')
    # Its files say what it was told.
    assert found['skip_kpartx'] == ok('yes (/etc/multipath.conf)')


def test_a_multipathd_that_hangs_up(tree):
    Multipathd(tree, cut=True)
    assert examine(tree)['multipathd']['evidence'] == [
        'runs (pid 202), but cannot be reached: multipathd hung up without an answer']


def test_multipathd_that_does_not_run(tree):
    tree.remove('proc/202')
    assert examine(tree)['multipathd'] == bad(
        'warning', 'systemctl enable --now multipathd',
        'somebody listens for it, but it does not run here: systemd starts it at the first question, or it runs in a '
        'container')
    tree.write('proc/net/unix', UNIX)
    assert examine(tree)['multipathd'] == bad(
        'error', 'systemctl enable --now multipathd',
        'multipathd does not run: attaches use one path, or fail where multipath is enforced')
    tree.run('multipathd', 202)
    assert examine(tree)['multipathd'] == bad(
        'error', 'give its container the network namespace of the host',
        'runs (pid 202), but its socket is not in this network namespace')


def test_settings_of_files_and_built_in_ones(tree):
    tree.write('etc/multipath.conf', 'defaults { skip_kpartx yes }\n')
    tree.write('etc/multipath/conf.d/a.conf', 'defaults {\n skip_kpartx no # the last counts\n}\n')
    tree.write('etc/multipath/conf.d/b.txt', 'defaults {\n skip_kpartx yes\n}\n')
    found = examine(tree)
    assert found['skip_kpartx']['evidence'] == ['no (/etc/multipath.conf)', PARTITIONS]
    assert found['user_friendly_names'] == ok('no, the built-in default; /etc/multipath.conf does not say')
    assert found['find_multipaths']['evidence'][0] == 'strict, the built-in default; /etc/multipath.conf does not say'


def test_only_the_defaults_of_multipath_count():
    assert multipath.defaults_of(Multipathd.CONFIG) == {
        'verbosity': '2', 'find_multipaths': 'strict', 'user_friendly_names': 'yes', 'skip_kpartx': 'no'}


@pytest.fixture
def iscsid(monkeypatch, tree):
    """A socket in the place of iscsid's, on a host that passes for this one."""
    name = f'@os-brick-test-{os.getpid()}'
    monkeypatch.setattr(daemons, 'ISCSID_SOCKET', name)
    monkeypatch.setattr(daemons, 'DEADLINE', 0.5)
    monkeypatch.setattr(Host, 'is_this', True)
    tree.write('proc/net/unix', UNIX + LISTENER.format(1, name))
    with socket.socket(socket.AF_UNIX) as made:
        made.bind('\0' + name[1:])
        made.listen(1)
        yield made


def test_an_iscsid_that_takes_requests(tree, iscsid):
    def serve():
        connection, _ = iscsid.accept()
        # It reads a whole request, and hangs up at the end of a short one.
        while connection.recv(64):
            pass
        connection.close()
    server = threading.Thread(target=serve)
    server.start()
    assert daemons.iscsid(Host(str(tree.root))) == ok('runs (pid 101) and answers')
    server.join()


def test_a_hung_iscsid_has_its_deadline(tree, iscsid):
    """The kernel takes the connection for it."""
    start = time.monotonic()
    assert daemons.iscsid(Host(str(tree.root))) == bad(
        'error', 'systemctl restart iscsid; sessions survive that', 'runs (pid 101), but does not answer within 0.5 s')
    assert time.monotonic() - start < 5


def test_udev(tree):
    tree.path('etc/udev/rules.d').mkdir(parents=True)
    tree.path('etc/udev/rules.d/60-multipath.rules').symlink_to('/dev/null')
    tree.remove('usr/lib/udev/rules.d/60-persistent-storage.rules')
    tree.remove('run/udev/control')
    assert examine(tree)['udev'] == bad(
        'error', 'install the rules (udev, multipath-tools) on the host; remove /etc/udev/rules.d/60-multipath.rules; '
                 'start systemd-udevd; share /run/udev and /dev',
        'no *-persistent-storage.rules: the links in /dev/disk/by-path and by-id',
        '/etc/udev/rules.d/60-multipath.rules: switched off: it is a link to /dev/null; multipathd hears of new paths',
        '/usr/lib/udev/rules.d/56-dm-mpath.rules', 'udevd does not run, or /run/udev is not shared with this container')


NEW_NVME = ('nvme gen-hostnqn > /etc/nvme/hostnqn, its UUID to /etc/nvme/hostid; only when nothing is attached')
NQN = 'nqn.2014-08.org.nvmexpress:uuid:'
BOARD = '03000200-0400-0500-0006-000700080009'


@pytest.mark.parametrize('nqn, host_id, verdict, remedy, reason', [
    (NQN + UUID.upper(), UUID, 'ok', None, None),
    ('nqn.2020-01.org.site:host-7', UUID, 'ok', None, None),
    ('host-7', UUID, 'error', NEW_NVME, 'the first is no name as NVMe has them'),
    (NQN + UUID, 'host-7', 'error', NEW_NVME, 'the second is no UUID'),
    (NQN + 'host-7', UUID, 'error', NEW_NVME, 'the name ends in no UUID'),
    (NQN + BOARD, BOARD, 'error', NEW_NVME, 'the UUID of a board nobody gave one; other hosts have it too'),
    (NQN + UUID, BOARD.replace('3', '4'), 'warning',
     'the UUID of /etc/nvme/hostnqn in /etc/nvme/hostid; only when nothing is attached',
     'two UUIDs; newer kernels refuse one id under two names'),
])
def test_names_of_the_nvme_host(tree, nqn, host_id, verdict, remedy, reason):
    tree.write('etc/nvme/hostnqn', nqn + '\n')
    tree.write('etc/nvme/hostid', host_id + '\n')
    evidence = [f'/etc/nvme/hostnqn: {nqn}', f'/etc/nvme/hostid: {host_id}', *([reason] if reason else [])]
    assert examine(tree)['nvme_host'] == bad(verdict, remedy, *evidence)


def test_a_name_of_the_nvme_host_alone(tree):
    tree.remove('etc/nvme/hostid')
    assert examine(tree)['nvme_host'] == bad(
        'warning', 'os-brick properties, as root, makes the missing one; compare both afterwards',
        '/etc/nvme/hostid is missing, and the other is there')
    tree.remove('etc/nvme/hostnqn')
    assert examine(tree)['nvme_host'] == skipped(
        'neither /etc/nvme/hostnqn nor /etc/nvme/hostid: both are made by the first service that asks for them')

# SPDX-License-Identifier: Apache-2.0
"""`os-brick clean`: what it asks of the privileged side, what it prints, its exit codes; and what that side refuses."""

import json
import os

import pytest

from os_brick import cli
from os_brick import exception
from os_brick import privileged
from os_brick.privileged import inventory as priv_inventory

MAP = {'kind': 'map_without_paths', 'subject': 'dm-0', 'fate': 'would_remove', 'reason': None,
       'commands': ['multipath -f mpatha']}
LUKS = {'kind': 'luks_over_nothing', 'subject': 'crypt-sda', 'fate': 'left',
        'reason': 'somebody has to decide what becomes of it', 'commands': ['cryptsetup close crypt-sda']}


@pytest.fixture
def root(monkeypatch):
    """Root's own process, and what the privileged side is asked and answers."""
    host = {'asked': [], 'outcomes': []}

    def clean(apply, lock_path=None, records=None):
        host['asked'].append((apply, lock_path, records))
        return {'outcomes': host['outcomes'], 'applied': apply}
    monkeypatch.setattr(os, 'geteuid', lambda: 0)
    monkeypatch.setattr(privileged.default, 'set_client_mode', lambda client: None)
    monkeypatch.setattr(priv_inventory, 'clean', clean)
    return host


def run(capsys, *arguments):
    code = cli.main(('clean', *arguments))
    out, err = capsys.readouterr()
    return code, out.splitlines(), err


def test_nothing_left_behind_is_exit_code_0(root, capsys):
    assert run(capsys) == (0, ['Nothing is left behind.'], '')
    assert root['asked'] == [(False, None, None)]


def test_a_dry_run_says_what_would_go_and_what_stays(root, capsys):
    root['outcomes'] = [MAP, LUKS]
    assert run(capsys) == (3, [
        'map without paths: dm-0',
        '  unused, would be removed',
        'luks over nothing: crypt-sda',
        '  left alone: somebody has to decide what becomes of it',
        '    # cryptsetup close crypt-sda',
        '',
        '1 of 2 would be removed. Nothing was changed; --yes removes.',
    ], '')
    root['outcomes'] = [LUKS]
    assert run(capsys)[1][-1] == 'None of 1 is proven unused. Nothing was changed.'


@pytest.mark.parametrize('option', ['--yes', '--apply'])
def test_what_was_removed_is_said(root, capsys, tmp_path, monkeypatch, option):
    monkeypatch.chdir(tmp_path)
    for name in ('locks', 'records'):
        (tmp_path / name).mkdir()
    root['outcomes'] = [{**MAP, 'fate': 'removed'}]
    assert run(capsys, option, '--lock-path', 'locks', '--records', 'records') == (
        0, ['map without paths: dm-0', '  removed', '', '1 of 1 removed.'], '')
    assert root['asked'] == [(True, str(tmp_path / 'locks'), str(tmp_path / 'records'))]


def test_what_could_not_be_removed_is_exit_code_1(root, capsys, tmp_path):
    root['outcomes'] = [{**MAP, 'fate': 'failed', 'reason': 'dm-0 is in use'}, LUKS]
    assert run(capsys, '--yes', '--lock-path', str(tmp_path)) == (1, [
        'map without paths: dm-0',
        '  NOT REMOVED: dm-0 is in use',
        '    # multipath -f mpatha',
        'luks over nothing: crypt-sda',
        '  left alone: somebody has to decide what becomes of it',
        '    # cryptsetup close crypt-sda',
        '',
        '0 of 2 removed. 1 could not be removed.',
    ], '')


@pytest.mark.parametrize('fate, code', [('left', 3), ('gone', 0)])
def test_what_is_left_after_all_is_exit_code_3(root, capsys, tmp_path, fate, code):
    root['outcomes'] = [{**MAP, 'fate': fate, 'reason': 'opened 1 times'}]
    assert run(capsys, '--yes', '--lock-path', str(tmp_path))[0] == code


def test_json_is_what_the_engine_said(root, capsys):
    root['outcomes'] = [MAP]
    assert cli.main(['clean', '--json']) == 3
    assert json.loads(capsys.readouterr().out) == {'outcomes': [MAP], 'applied': False}


@pytest.mark.parametrize('arguments, text', [
    (['--yes'], '--yes needs --lock-path, the lock_path of the services of this host'),
    (['--yes', '--lock-path', '/nowhere'], '--lock-path: /nowhere is no directory'),
    (['--records', '/nowhere'], '--records: /nowhere is no directory')])
def test_what_is_missing_is_said_before_anything_is_done(root, capsys, arguments, text):
    assert run(capsys, *arguments) == (2, [], f'os-brick: {text}\n')
    assert root['asked'] == []


def test_only_root_cleans(root, monkeypatch, capsys):
    monkeypatch.setattr(os, 'geteuid', lambda: 1000)
    assert run(capsys) == (
        1, [], 'os-brick: clean needs root, also to look: nobody else sees who has a map open\n')
    assert root['asked'] == []


class Inventory:
    def __init__(self):
        self.calls = []

    def clean(self, *args):
        self.calls.append(args)
        return {'outcomes': [], 'applied': args[1]}


@pytest.fixture
def engine(monkeypatch):
    """The privileged side in this process, with a stand-in for the engine."""
    fake = type('Engine', (), {'inventory': Inventory()})()
    monkeypatch.setattr(priv_inventory, '_engine', fake)
    monkeypatch.setattr(privileged.default, 'client_mode', False)
    return fake.inventory


def test_the_engine_gets_plain_data(engine, tmp_path):
    (tmp_path / 'os-brick-connect_volume').touch()
    priv_inventory.clean()
    priv_inventory.clean(True, str(tmp_path), '/records')
    assert engine.calls == [('/', False, '/', None), (str(tmp_path), True, '/', '/records')]


@pytest.mark.parametrize('lock_path', [None, '/nowhere'])
def test_without_the_services_locks_nothing_is_done(engine, lock_path):
    with pytest.raises(exception.InvalidParameterValue) as caught:
        priv_inventory.clean(True, lock_path)
    assert str(caught.value) == ('lock_path must be the lock directory of the services, and there is no '
                                 f'os-brick-connect_volume in {lock_path}')
    with pytest.raises(exception.InvalidParameterValue, match='^records must be an absolute path'):
        priv_inventory.clean(False, None, 'records')
    assert engine.calls == []

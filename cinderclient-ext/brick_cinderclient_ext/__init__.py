# SPDX-License-Identifier: Apache-2.0
"""The commands that `cinder` finds here: functions named do_..., with their arguments."""

import contextlib
import json
import os
import signal
import socket
from typing import Any, Callable, Iterator, Optional

from cinderclient import exceptions as cinder_exceptions
from cinderclient import shell_utils
from cinderclient import utils
import os_brick
from os_brick import privileged
from oslo_config import cfg

from brick_cinderclient_ext import brick_utils
from brick_cinderclient_ext import client as brick_client
from brick_cinderclient_ext.version import __version__  # noqa: F401

manager_class = brick_client.Client
name = 'brick_local_volume_management'

# cinderclient before 9.3 has it elsewhere.
_print_dict = getattr(shell_utils, 'print_dict', None) or utils.print_dict

_LOCK_PATH = '/run/lock/os-brick'
_VOLUME = utils.arg('identifier', metavar='<identifier>',
                    help='Name or other Identifier for existing volume')


def _option(spelling: str, dest: str, default: Any, text: str, *more: str,
            choices: Optional[tuple] = None) -> Callable:
    """An option with its words joined by dashes or by underscores."""
    names = [spelling, *more]
    names += [f'--{word[2:].replace("-", "_")}' for word in names if '-' in word[2:]]
    kwargs = {'choices': choices} if choices else {'metavar': f'<{dest}>'}
    return utils.arg(*names, dest=dest, default=default, help=text, **kwargs)


_MULTIPATH = _option('--multipath', 'multipath', False,
                     'True to use all paths of the volume. Default=False.')
_ENFORCE = _option('--enforce-multipath', 'enforce_multipath', False,
                   'True to fail when multipathd does not run, instead of using one path. Default=False.')
_NIC = _option('--nic', 'nic', None, 'Network interface whose address Cinder is told.')


@contextlib.contextmanager
def _host() -> Iterator[None]:
    """Prepare the process for os-brick, which a service does when it starts.

    Root needs no privsep daemon; SIGTERM becomes an exception, so that a step is undone.
    """
    privileged.default.set_client_mode(False)
    privileged.brick_privsep_hide_output.set_client_mode(False)
    os_brick.setup(cfg.CONF)
    if not cfg.CONF.os_brick.lock_path:
        os.makedirs(_LOCK_PATH, exist_ok=True)
        cfg.CONF.set_default('lock_path', _LOCK_PATH, group='os_brick')

    def terminate(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@_MULTIPATH
@_ENFORCE
@_NIC
@brick_utils.require_root
def do_get_connector(client: Any, args: Any) -> None:
    """Get the connection properties for all protocols."""
    with _host():
        _print_dict(brick_client.Client(client).get_connector(
            args.multipath, args.enforce_multipath, args.nic))


@_VOLUME
@_option('--hostname', 'hostname', socket.gethostname(), 'Name recorded by Cinder before 3.44.')
@_option('--mountpoint', 'mountpoint', None, 'Mount point recorded by Cinder.')
@_option('--mode', 'mode', 'rw', 'Access mode. Default=rw.', choices=('rw', 'ro'))
@_MULTIPATH
@_ENFORCE
@_NIC
@brick_utils.require_root
def do_local_attach(client: Any, args: Any) -> None:
    """Attach a volume to this host and print its device."""
    for option in ('multipath', 'enforce_multipath'):
        brick_client.flag(option, getattr(args, option))
    with _host():
        volume = utils.find_volume(client, args.identifier)
        _print_dict(brick_client.Client(client).attach(
            volume.id, args.hostname, args.mountpoint, args.mode, args.multipath,
            args.enforce_multipath, args.nic))


@_VOLUME
@_option('--attachment-id', 'attachment_uuid', None, 'The ID of the attachment, if there are several.',
         '--attachment-uuid')
@_MULTIPATH
@_ENFORCE
@_option('--device-info', 'device_info', None, 'What local-attach printed, as JSON.')
@_NIC
@brick_utils.require_root
def do_local_detach(client: Any, args: Any) -> None:
    """Detach a volume from this host."""
    for option in ('multipath', 'enforce_multipath'):
        brick_client.flag(option, getattr(args, option))
    device_info = _device_info(args.device_info)
    with _host():
        volume = utils.find_volume(client, args.identifier)
        brick_client.Client(client).detach(
            volume.id, args.attachment_uuid, args.multipath, args.enforce_multipath,
            device_info, args.nic)


def _device_info(text: Optional[str]) -> Optional[dict]:
    if not text:
        return None
    try:
        found = json.loads(text)
    except ValueError as error:
        raise cinder_exceptions.CommandError(f'--device-info is no JSON: {error}') from None
    if not isinstance(found, dict):
        raise cinder_exceptions.CommandError('--device-info is no JSON object.')
    return found


@_VOLUME
@_MULTIPATH
@brick_utils.require_root
def do_get_volume_paths(client: Any, args: Any) -> None:
    """Get volume paths for a volume."""
    with _host():
        paths = brick_client.Client(client).get_volume_paths(args.identifier, args.multipath)
    if paths:
        print('\n'.join(paths))


@_MULTIPATH
@_option('--protocol', 'protocol', 'ISCSI', 'Connection protocol. ISCSI, FIBRE_CHANNEL, etc.')
@brick_utils.require_root
def do_get_all_volume_paths(client: Any, args: Any) -> None:
    """Get all volume paths for a protocol."""
    with _host():
        paths = brick_client.Client(client).get_all_volume_paths(args.protocol, args.multipath)
    if paths:
        print('\n'.join(paths))

# SPDX-License-Identifier: Apache-2.0
"""What a command that changes the host needs before: configuration, a lock directory, root's rights."""

import argparse
import os
import signal

from oslo_config import cfg

import os_brick
from os_brick import privileged
from os_brick.cli import ending

#: The lock directory of a host whose services say nothing; `cinder local-attach` uses it too.
LOCK_PATH = '/run/lock/os-brick'


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `prepare`."""
    parser.add_argument('--config-file', action='append', metavar='FILE',
                        help='configuration with [os_brick] and [privsep_osbrick], such as /etc/nova/nova.conf; may '
                             'be given several times (default: os-brick.conf in /etc/os-brick, if there is one)')
    parser.add_argument('--lock-path', metavar='DIR',
                        help='lock directory, the one the services of this host use (default: that of the '
                             f'configuration, else {LOCK_PATH})')


def configure(arguments: argparse.Namespace) -> None:
    """Read the configuration.

    :raises Ended: a file is missing or cannot be parsed
    """
    files = arguments.config_file or cfg.find_config_files(project='os-brick')
    if files:
        try:
            cfg.CONF([], project='os-brick', default_config_files=files)
        except cfg.Error as exc:
            raise ending.refused(f'configuration: {exc}') from None
    os_brick.setup(cfg.CONF)


def _lock_directory(arguments: argparse.Namespace) -> None:
    if arguments.lock_path:
        if not os.path.isabs(arguments.lock_path):
            raise ending.refused(f'--lock-path is an absolute path, not {arguments.lock_path}')
        cfg.CONF.set_override('lock_path', arguments.lock_path, group='os_brick')
    elif not cfg.CONF.os_brick.lock_path:
        cfg.CONF.set_default('lock_path', LOCK_PATH, group='os_brick')


def prepare(arguments: argparse.Namespace) -> None:
    """Make this process able to change the host.

    :raises Ended: it is not allowed to, or badly configured
    """
    configure(arguments)
    _lock_directory(arguments)
    if os.geteuid() == 0:
        for context in (privileged.default, privileged.brick_privsep_hide_output):
            context.set_client_mode(False)
        return
    if not cfg.CONF.privsep_osbrick.helper_command:
        raise ending.Ended(
            ending.FAILED, f'{arguments.command} changes the host and needs root: use sudo, or a --config-file with '
                           'helper_command in [privsep_osbrick]')
    if privileged.default.client_mode and privileged.default.channel is None:
        # Here and not at the first call, so that nothing is touched when it fails.  It stays in the terminal's process
        # group and inherits the mask: a Ctrl-C must not end it in the middle of an attach.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            privileged.default.start()
        except Exception as exc:
            raise ending.Ended(ending.FAILED, f'the privileged helper does not start: {exc}') from None
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

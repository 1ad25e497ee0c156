# SPDX-License-Identifier: Apache-2.0
"""`os-brick doctor`: whether a host is set up as attaches of Nova, Cinder and Glance need it.  Only looks.

A check is a function of a module of this package that gives verdicts.  Daemons are asked under a deadline.
"""

import argparse
from collections.abc import Iterator
import os
from typing import Any, Callable

from os_brick.cli import ending
from os_brick.cli import output
from os_brick.cli.doctor import daemons
from os_brick.cli.doctor import locks
from os_brick.cli.doctor import multipath
from os_brick.cli.doctor import names
from os_brick.cli.doctor import rules
from os_brick.cli.doctor import rootwrap
from os_brick.cli.doctor import services
from os_brick.cli.doctor import verdict
from os_brick.cli.doctor.host import Host
from os_brick.cli.doctor.host import Unreadable

_EXAMPLES = """\
  sudo os-brick doctor
  sudo os-brick doctor --config-file /etc/nova/nova.conf --config-file /etc/cinder/cinder.conf
  os-brick doctor --json | jq '.checks[] | select(.verdict == "error")'
"""

#: In the order in which they are shown.
_CHECKS = (
    ('iscsid', daemons.iscsid),
    ('manual_scan', daemons.manual_scan),
    ('initiator_name', names.initiator),
    ('multipathd', daemons.multipathd),
    ('find_multipaths', multipath.find_multipaths),
    ('user_friendly_names', multipath.friendly_names),
    ('skip_kpartx', multipath.skip_kpartx),
    ('udev', rules.udev),
    ('nvme_host', names.nvme),
    ('lock_directory', locks.lock_directory),
    ('privsep', rootwrap.helper),
    ('rootwrap', rootwrap.filters),
)


def add(verb: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = verb('doctor', 'whether this host is set up as attaches need it', run, show, _EXAMPLES, code)
    parser.add_argument('--config-file', action='append', metavar='FILE',
                        help='configuration of a service of this host; may be given several times (default: '
                             f'those there are of {", ".join(services.KNOWN)})')
    parser.add_argument('--root', default='/', metavar='DIR',
                        help='look at the files below this directory instead; no daemon outside it is asked')


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Make all checks.

    :returns: `checks`, each with `check`, `verdict`, `evidence` and `remedy`, and `summary`
    :raises Ended: a file or directory that was named is not there
    """
    if not os.path.isdir(arguments.root):
        raise ending.refused(f'--root is a directory, not {arguments.root}')
    host = Host(os.path.abspath(arguments.root))
    for name in arguments.config_file or ():
        if not os.path.isfile(host.path(name)):
            raise ending.refused(f'--config-file: there is no file {host.path(name)}')
    host.config_files = arguments.config_file
    checks = []
    for name, function in _CHECKS:
        try:
            found = function(host)
        except Unreadable as exc:
            found = verdict.skipped(f'{exc}; root can read it')
        except OSError as exc:
            found = verdict.skipped(str(exc))
        checks.append({'check': name, **found})
    summary = {kind: sum(check['verdict'] == kind for check in checks) for kind in verdict.KINDS}
    return {'checks': checks, 'summary': summary}


def code(result: dict[str, Any]) -> int:
    """Return the exit code of a result: warnings are none of its business."""
    return ending.FOUND if result['summary'][verdict.ERROR] else ending.OK


def show(result: dict[str, Any]) -> Iterator[str]:
    """Give the verdicts with their evidence and remedies, then how many there are of each."""
    width = max(len(check['check']) for check in result['checks'])
    for check in result['checks']:
        before = f"{check['verdict']:<8} {check['check']:<{width}}  "
        for seen in check['evidence'] + ([f"-> {check['remedy']}"] if check['remedy'] else []):
            yield output.printable(before + seen)
            before = ' ' * len(before)
    yield ''
    yield ', '.join(f'{number} {kind}' for kind, number in result['summary'].items())

# SPDX-License-Identifier: Apache-2.0
"""os-brick: attach volumes to a Linux host and detach them again.

The public classes keep the names and the behaviour OpenStack services know; the work
itself is done by the extension module ``os_brick._engine``.
"""

from typing import Any

from oslo_log import log as logging

from os_brick import opts

LOG = logging.getLogger(__name__)
# Records of the privsep context that handles backend credentials.  Its daemon forwards
# what it logs, so everything below an error is kept out of the services' logs.
SECURE_LOG = logging.getLogger('brick_privsep_hide_output')
SECURE_LOG.setLevel(logging.ERROR)


def setup(conf: Any, **kwargs: Any) -> None:
    """Give os-brick the service's configuration; may be called more than once.

    Call it after the service has read its configuration files: the lock directory of
    os-brick defaults to the one of oslo.concurrency.

    :param conf: the service's ``oslo_config.cfg.ConfigOpts``
    :param kwargs: reserved; a warning names what was ignored
    """
    if kwargs:
        LOG.warning('os_brick.setup() ignores the unknown arguments %s', ', '.join(kwargs))
    opts.set_defaults(conf)

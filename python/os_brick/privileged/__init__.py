# SPDX-License-Identifier: Apache-2.0
"""The two privsep contexts of os-brick.

Their names, section and capabilities appear in deployed rootwrap filters, sudoers and
configuration files, so they must not change.
"""

from typing import Any

from oslo_config import cfg
from oslo_privsep import capabilities as c
from oslo_privsep import priv_context

capabilities = [c.CAP_SYS_ADMIN, c.CAP_DAC_READ_SEARCH]

_SECTION = 'privsep_osbrick'
_HIDDEN_LOGGER = 'brick_privsep_hide_output'


class _HiddenSection:
    """The options of the section, but with the logger that shows errors only."""

    logger_name = _HIDDEN_LOGGER

    def __init__(self, section: Any) -> None:
        self._section = section

    def __getattr__(self, name: str) -> Any:
        return getattr(self._section, name)


class _HiddenOutputContext(priv_context.PrivContext):
    """A context whose daemon's log does not reach the service's log.

    Both contexts read one section of the configuration, where there is one logger_name.
    It must stay that of `default`: the records of the engine come through it.
    """

    @property
    def conf(self) -> Any:
        return _HiddenSection(super().conf)


brick_privsep_hide_output = _HiddenOutputContext(
    __name__,
    cfg_section=_SECTION,
    pypath=__name__ + '.brick_privsep_hide_output',
    capabilities=capabilities,
    logger_name=_HIDDEN_LOGGER,
)

# Made second, so that the default of logger_name is the one set here.
default = priv_context.PrivContext(
    __name__,
    cfg_section=_SECTION,
    pypath=__name__ + '.default',
    capabilities=capabilities,
    logger_name=__name__,
)

# One call occupies a thread of the daemon for a whole attach, and almost all of that time
# is waiting, so the number of processors is no measure for how many may run at once.
cfg.CONF.set_default('thread_pool_size', 32, group=_SECTION)

# SPDX-License-Identifier: Apache-2.0
"""What the connectors over the engine share: one call of a verb, and how its outcome is told.

The verbs are those of a transport in `os_brick.privileged`.
"""

import types
from typing import Any, ClassVar, Optional

from oslo_config import cfg
from oslo_log import log as logging

from os_brick import exception
from os_brick import utils
from os_brick.initiator import attachment_records
from os_brick.initiator import listing
from os_brick.initiator import lock_files
from os_brick.initiator.connectors import base
from os_brick.privileged import plain_data

LOG = logging.getLogger(__name__)
CONF = cfg.CONF


class EngineConnector(base.BaseLinuxConnector):
    """A connector that checks and picks; decisions and changes of the host are the engine's."""

    #: The transport's module of `os_brick.privileged`.
    _verbs: ClassVar[types.ModuleType]

    def _settings(self) -> dict[str, Any]:
        """Return what the engine needs to know beside the properties, as configured now."""
        return {
            'use_multipath': bool(self.use_multipath),
            'device_scan_attempts': int(self.device_scan_attempts),
            'portal_grace_period': CONF.os_brick.portal_grace_period,
        }

    def _locked_settings(self) -> dict[str, Any]:
        """Return the settings of an operation that changes the host."""
        return {**self._settings(), **attachment_records.settings(),
                'lock_path': lock_files.prepare()}

    def _select(self, properties: Any) -> dict[str, Any]:
        """Pick what the transport understands from the properties a caller passed.

        :raises InvalidParameterValue: see `plain_data.select`
        """
        return plain_data.select(properties, self._verbs.PROPERTIES, self._verbs.NESTED)

    def _call(self, entrypoint: str, own: str, *args: Any) -> Any:
        """Call a verb as root, or in this process when the caller runs the commands."""
        execute = self._injected_execute()
        if execute is None:
            return getattr(self._verbs, entrypoint)(*args)
        return getattr(self._verbs, own)(*args, execute)

    def _attach(self, properties: Any) -> dict[str, Any]:
        return dict(self._call('connect_volume', 'connect', self._select(properties),
                               self._locked_settings()))

    def _detach(self, properties: Any, device_info: Any, force: bool,
                ignore_errors: bool) -> None:
        picked = self._select(properties)
        path = utils.get_dev_path(properties, device_info)
        if not isinstance(path, str) or not path.startswith('/'):
            path = None
        errors = self._call('disconnect_volume', 'disconnect', picked, path,
                            self._locked_settings(), bool(force))
        _report(list(errors), ignore_errors)

    def _extend(self, properties: Any) -> int:
        return self._call('extend_volume', 'extend', self._select(properties),
                          self._locked_settings())


def _report(errors: list[str], ignore_errors: bool) -> None:
    """Raise the errors a forced detach went past, or only log them."""
    if not errors:
        return
    if ignore_errors:
        LOG.warning('Detached with errors, leftovers may remain on the host: %s',
                    '; '.join(errors))
        return
    chain = exception.ExceptionChainer()
    for text in errors:
        chain.add_exception(exception.BrickException, exception.BrickException(text), None)
    raise chain


class ScsiConnector(EngineConnector):
    """One whose volumes are SCSI disks, joined by multipathd."""

    def _settings(self) -> dict[str, Any]:
        """Return also what concerns identities and maps."""
        options = CONF.os_brick
        return {
            **super()._settings(),
            'enforce_identity': options.enforce_identity,
            'wait_mpath_device_attempts': options.wait_mpath_device_attempts,
            'wait_mpath_device_interval': options.wait_mpath_device_interval,
        }

    def set_execute(self, execute: Any) -> None:
        """Run every command of this object and its helpers with `execute`."""
        super().set_execute(execute)
        self._linuxscsi.set_execute(execute)

    def get_search_path(self) -> str:
        """Return the directory that names volumes by their path."""
        return '/dev/disk/by-path'

    def supports_multipath(self) -> bool:
        """Tell whether multipathd runs."""
        return self._linuxscsi.is_multipath_running(root_helper=self._root_helper,
                                                    execute=self._injected_execute())

    def get_all_available_volumes(self, connection_properties: Optional[dict] = None) -> list[str]:
        """Return the full paths of all links in the search directory."""
        return listing.entries(self.get_search_path())

# SPDX-License-Identifier: Apache-2.0
"""The connector for volumes of Huawei's SDSHypervisor, through its command line tool."""

import os
from collections.abc import Mapping
from typing import Any, Optional

from oslo_log import log as logging

from os_brick import exception
from os_brick import utils
from os_brick.i18n import _
from os_brick.initiator.connectors import base

LOG = logging.getLogger(__name__)

_DEFAULT_CLI = '/usr/local/bin/sds/sds_cli'
#: What we read of the tool's output, lines of `key=value`.
_KEYS = ('ret_code', 'ret_desc', 'dev_addr')


def _volume_id(properties: Any) -> str:
    if not isinstance(properties, Mapping):
        raise exception.InvalidParameterValue(
            err='connection_properties must be a dictionary, '
                f'not {type(properties).__name__}')
    value = properties.get('volume_id')
    if not isinstance(value, str) or not value:
        raise exception.InvalidParameterValue(
            err=f'connection_properties needs volume_id as a text, not {value!r}')
    return value


def _code(answer: Optional[dict[str, str]]) -> Any:
    """Return the code of an answer as a number, or as it is if it is none."""
    code = (answer or {}).get('ret_code')
    try:
        return int(code) if code is not None else None
    except ValueError:
        return code


class HuaweiStorHyperConnector(base.BaseLinuxConnector):
    """Attaches and detaches volumes of SDSHypervisor."""

    attached_success_code = 0
    has_been_attached_code = 50151401
    attach_mnid_done_code = 50151405
    vbs_unnormal_code = 50151209
    not_mount_node_code = 50155007
    #: Whether the tool is installed, as found when the connector was made.
    iscliexist = True

    def __init__(self, root_helper: Optional[str], driver: Any = None, *args: Any,
                 **kwargs: Any) -> None:
        """Look for the tool, where HUAWEISDSHYPERVISORCLI_PATH says or in its usual place."""
        self.cli_path = os.getenv('HUAWEISDSHYPERVISORCLI_PATH') or _DEFAULT_CLI
        if not os.path.isfile(self.cli_path):
            self.iscliexist = False
            LOG.error('SDS CLI file not found, HuaweiStorHyperConnector init failed: %s',
                      self.cli_path)
        super().__init__(root_helper, driver, *args, **kwargs)

    @staticmethod
    def get_connector_properties(root_helper: Optional[str], *args: Any,
                                 **kwargs: Any) -> dict[str, Any]:
        """Return nothing: the backend need not know the host."""
        return {}

    def get_search_path(self) -> None:
        """Return None: no directory holds the volumes alone."""
        return None

    def get_all_available_volumes(self, connection_properties: Optional[dict] = None) -> list:
        """Return nothing: the tool lists no volumes."""
        return []

    def get_volume_paths(self, connection_properties: dict) -> list[str]:
        """Return the device of an attached volume.

        :raises BrickException: it is not attached
        """
        try:
            return [self._get_volume_path(connection_properties)]
        except exception.Invalid:
            raise
        except Exception as exc:
            LOG.warning("Couldn't find a volume: %s", exc)
            raise exception.BrickException(message=_("Couldn't find a volume.")) from exc

    def _get_volume_path(self, connection_properties: dict) -> str:
        answer = self._query_attached_volume(_volume_id(connection_properties))
        if _code(answer) != 0 or not (answer or {}).get('dev_addr'):
            raise exception.BrickException(message=_("Couldn't find attached volume."))
        return answer['dev_addr']

    @utils.trace
    @base.synchronized('connect_volume', external=True)
    def connect_volume(self, connection_properties: dict) -> dict[str, str]:
        """Attach a volume to this host.

        :param connection_properties: `volume_id`
        :returns: `type` ('block') and `path`
        :raises InvalidParameterValue: there is no volume_id
        :raises BrickException: the tool is missing or refused; the host is left as it was
        """
        volume_id = _volume_id(connection_properties)
        code = _code(self._attach_volume(volume_id))
        if code not in (self.attached_success_code, self.has_been_attached_code,
                        self.attach_mnid_done_code):
            raise exception.BrickException(
                message=_('Attach volume failed, error code is %s') % code)
        try:
            path = self._get_volume_path(connection_properties)
        except Exception as exc:
            LOG.error('No device of volume %(volume)s: %(error)s',
                      {'volume': volume_id, 'error': exc})
            if code == self.attached_success_code:
                # It was not attached before.
                self._undo_attach(volume_id)
            raise exception.BrickException(message=_(
                'query attached volume failed or volume not attached.')) from exc
        return {'type': 'block', 'path': path}

    def _undo_attach(self, volume_id: str) -> None:
        try:
            answer = self._detach_volume(volume_id)
            LOG.debug('Detaching volume %(volume)s again: %(answer)s',
                      {'volume': volume_id, 'answer': answer})
        except Exception as exc:
            LOG.warning('Volume %(volume)s remains attached: %(error)s',
                        {'volume': volume_id, 'error': exc})

    @utils.trace
    @base.synchronized('connect_volume', external=True)
    def disconnect_volume(self, connection_properties: dict, device_info: Any,
                          force: bool = False, ignore_errors: bool = False) -> None:
        """Detach a volume from this host; it need not be attached any more.

        :param connection_properties: `volume_id`
        :param device_info: not needed
        :param force: has no effect, the tool knows no force
        :param ignore_errors: log a failure instead of raising it
        :raises InvalidParameterValue: there is no volume_id
        :raises BrickException: the tool is missing or refused
        """
        volume_id = _volume_id(connection_properties)
        try:
            code = _code(self._detach_volume(volume_id))
            if code not in (self.attached_success_code, self.vbs_unnormal_code,
                            self.not_mount_node_code):
                raise exception.BrickException(
                    message=_('Disconnect_volume failed, error code is %s') % code)
        except Exception as exc:
            if not ignore_errors:
                raise
            LOG.warning('Volume %(volume)s may remain attached: %(error)s',
                        {'volume': volume_id, 'error': exc})

    def is_volume_connected(self, volume_name: str) -> bool:
        """Tell whether a volume is attached to this host."""
        return _code(self._query_attached_volume(volume_name)) == 0

    def _attach_volume(self, volume_name: str) -> Optional[dict[str, str]]:
        return self._cli_cmd('attach', volume_name)

    def _detach_volume(self, volume_name: str) -> Optional[dict[str, str]]:
        return self._cli_cmd('detach', volume_name)

    def _query_attached_volume(self, volume_name: str) -> Optional[dict[str, str]]:
        return self._cli_cmd('querydev', volume_name)

    def _cli_cmd(self, method: str, volume_name: str) -> Optional[dict[str, str]]:
        """Run the tool and return what it said, None if it said nothing.

        :raises BrickException: it is not installed
        """
        if not self.iscliexist:
            raise exception.BrickException(message=_(
                "SDS command line doesn't exist, can't execute SDS command."))
        if not method or volume_name is None:
            return None
        out, err = self._execute(self.cli_path, '-c', method, '-v', volume_name,
                                 run_as_root=False, root_helper=self._root_helper)
        answer = self._analyze_output(out)
        LOG.debug('%(method)s volume returns %(answer)s.',
                  {'method': method, 'answer': answer})
        if err:
            LOG.error('SDS CLI output some log: %s.', err)
        return answer

    @staticmethod
    def _analyze_output(out: Optional[str]) -> Optional[dict[str, str]]:
        if not out:
            return None
        answer = {}
        for line in out.splitlines():
            key, separator, value = line.partition('=')
            if separator and key.strip() in _KEYS:
                answer[key.strip()] = value.strip()
        return answer

    def extend_volume(self, connection_properties: dict) -> None:
        """Volumes cannot be extended while they are attached.

        :raises NotImplementedError: always
        """
        raise NotImplementedError

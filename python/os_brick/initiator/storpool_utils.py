# SPDX-License-Identifier: Apache-2.0
"""StorPool's configuration, names and API, for the connector and for Cinder's driver."""

import configparser
import errno
import http.client
import json as json_lib
import os
import pathlib
import platform
import time
from typing import Any, Optional

from oslo_log import log as logging

from os_brick import exception
from os_brick.i18n import _

LOG = logging.getLogger(__name__)

DEV_STORPOOL = pathlib.Path('/dev/storpool')
DEV_STORPOOL_BYID = pathlib.Path('/dev/storpool-byid')

STORPOOL_CONF_DEFAULTS = {
    'SP_API_HTTP_HOST': '127.0.0.1',
    'SP_API_HTTP_PORT': '81',
}

#: What the environment may set, too.
ENV_OVERRIDE = ['SP_AUTH_TOKEN', 'SP_API_HTTP_HOST', 'SP_API_HTTP_PORT']

_CONF_FILE = pathlib.Path('/etc/storpool.conf')
_CONF_DIRECTORY = pathlib.Path('/etc/storpool.conf.d')

#: The section of the lines before the first one that has a name.
_UNNAMED = 'UNNAMED_SECTION'


def get_conf(section: Optional[str] = None, use_env: bool = True) -> dict[str, str]:
    """Return StorPool's configuration of a host.

    Later sources win: the defaults, /etc/storpool.conf, /etc/storpool.conf.d/*.conf in the
    order of their names, in all of them the section of the host, the environment.

    :param section: the name of the host, that of this one by default
    :param use_env: False leaves out the environment
    :raises BrickException: the file is missing, or cannot be read
    """
    if not _CONF_FILE.is_file():
        raise exception.BrickException(_('File %s does not exist or not a file') % _CONF_FILE)
    files = [_CONF_FILE]
    if _CONF_DIRECTORY.is_dir():
        files += sorted(path for path in _CONF_DIRECTORY.iterdir()
                        if path.suffix == '.conf' and not path.name.startswith('.')
                        and path.is_file())

    # The files belong to StorPool, to which a percent sign is a character like others.
    parser = configparser.ConfigParser(strict=False, allow_no_value=True, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    for path in files:
        _read(parser, path)

    conf = dict(STORPOOL_CONF_DEFAULTS)
    for name in (_UNNAMED, platform.node() if section is None else section):
        if parser.has_section(name):
            conf.update((key, value) for key, value in parser[name].items() if value is not None)
    if use_env:
        conf.update((key, os.environ[key].strip()) for key in ENV_OVERRIDE if key in os.environ)
    return conf


def _read(parser: configparser.ConfigParser, path: pathlib.Path) -> None:
    try:
        parser.read_string(f'[{_UNNAMED}]\n' + path.read_text(encoding='utf-8'))
    except OSError as exc:
        raise exception.BrickException(_('Cannot read %(file)s: %(err)s')
                                       % {'file': path, 'err': exc.strerror}) from exc
    except (configparser.Error, UnicodeDecodeError) as exc:
        # Both carry text of the file, where the token is.
        lines = ', '.join(str(number - 1) for number, _line in getattr(exc, 'errors', ()))
        raise exception.BrickException(
            _('Cannot read %(file)s: %(err)s')
            % {'file': path, 'err': type(exc).__name__ + (f' in line {lines}' if lines else '')}
        ) from None


def os_to_sp_volume_name(prefix: str, volume_id: str) -> str:
    """Return the name StorPool knows a volume of OpenStack by."""
    return f'{prefix}--volume-{volume_id}'


def os_to_sp_snapshot_name(prefix: str, type: str, snapshot_id: str,
                           more: Optional[str] = None) -> str:
    """Return the name StorPool knows a snapshot of OpenStack by."""
    return f'{prefix}--{type}--{"none" if more is None else more}--snapshot-{snapshot_id}'


class StorPoolAPIError(exception.BrickException):
    """StorPool's API refused a request.

    :ivar status: the HTTP status
    :ivar json: the whole answer
    :ivar name: the short name of the error, such as `objectDoesNotExist`
    :ivar desc: what it says to people
    :ivar transient: whether trying again may help
    """

    message = _('HTTP: %(status)s, %(name)s: %(desc)s')

    def __init__(self, status: Any, json: Any) -> None:
        """Take the status and the answer, whatever that is."""
        error = json.get('error') if isinstance(json, dict) else None
        if not isinstance(error, dict):
            error = {}
        self.status = status
        self.json = json
        self.name = error.get('name', '<Missing error name>')
        self.desc = error.get('descr', '<Missing error description>')
        self.transient = error.get('transient', False)
        super().__init__(status=status, name=self.name, desc=self.desc)


class StorPoolAPI:
    """The calls of StorPool's API that OpenStack needs.

    Requests that fail for a while, or while the API is restarted, are sent again.  All
    methods raise StorPoolAPIError when the API refuses, and what `http.client` raises when
    it cannot be reached.
    """

    def __init__(self, host: str, port: Any, auth: str, timeout: float = 300,
                 transient_retries: int = 5) -> None:
        """Take what the configuration says; nobody is asked yet.

        :param auth: the token of the API
        :param timeout: seconds an answer may take
        :param transient_retries: how often to try again; the waits double from one second
        :raises BrickException: the token cannot be sent
        """
        if not str(auth).isascii() or not str(auth).isprintable():
            # http.client would show it in its error.
            raise exception.BrickException(
                _('SP_AUTH_TOKEN has characters that no HTTP header may have'))
        self.url = f'{host}:{port}'
        self.auth_header = {'Authorization': f'Storpool v1:{auth}'}
        self.timeout = timeout
        self.transient_retries = transient_retries

    def _api_call(self, method: str, path: str, body: Any = None) -> Any:
        """Return the data of an answer, trying again after errors that may pass."""
        encoded = json_lib.dumps(body) if body else None
        attempt = 0
        while True:
            try:
                return self._request(method, path, encoded)
            except StorPoolAPIError as exc:
                if not exc.transient or attempt >= self.transient_retries:
                    raise
                error: Exception = exc
            except (OSError, http.client.HTTPException) as exc:
                if not _may_pass(exc) or attempt >= self.transient_retries:
                    raise
                error = exc
            LOG.debug('%(method)s %(path)s failed, next attempt in %(wait)ss: %(error)s',
                      {'method': method, 'path': path, 'wait': 2 ** attempt, 'error': error})
            time.sleep(2 ** attempt)
            attempt += 1

    def _request(self, method: str, path: str, encoded: Optional[str]) -> Any:
        connection = http.client.HTTPConnection(self.url, timeout=self.timeout)
        try:
            connection.request(method, path, encoded, self.auth_header)
            response = connection.getresponse()
            status, text = response.status, response.read()
        finally:
            connection.close()
        what = f"the StorPool API's answer to {method} {path} (HTTP {status})"
        try:
            answer = json_lib.loads(text)
        except ValueError:
            raise json_lib.JSONDecodeError(f'{what} is no JSON', '', 0) from None
        if not isinstance(answer, dict) or 'error' in answer or status != http.client.OK:
            raise StorPoolAPIError(status, answer)
        if 'data' not in answer:
            raise KeyError(f'{what} has no data')
        return answer['data']

    def disks_list(self) -> Any:
        """Return the disks of the cluster by their id."""
        return self._api_call('GET', '/ctrl/1.0/DisksList')

    def volume_templates_list(self) -> Any:
        """Return the templates of volumes."""
        return self._api_call('GET', '/ctrl/1.0/VolumeTemplatesList')

    def volumes_reassign(self, data: Any) -> None:
        """Attach volumes to clients and detach them."""
        self._api_call('POST', '/ctrl/1.0/MultiCluster/VolumesReassign', data)

    def volumes_reassign_wait(self, data: Any) -> None:
        """Attach and detach volumes, and wait until the clients have done it."""
        self._api_call('POST', '/ctrl/1.0/MultiCluster/VolumesReassignWait', data)

    def volume(self, volume: str) -> Any:
        """Return a list with the description of one volume."""
        return self._api_call('GET', f'/ctrl/1.0/MultiCluster/Volume/{volume}')

    def volume_create(self, data: Any) -> None:
        """Create a volume."""
        self._api_call('POST', '/ctrl/1.0/MultiCluster/VolumeCreate', data)

    def volume_get_info(self, volume: str) -> Any:
        """Return what is known about a volume, such as its `globalId`."""
        return self._api_call('GET', f'/ctrl/1.0/MultiCluster/VolumeGetInfo/{volume}')

    def volume_update(self, volume: str, data: Any) -> None:
        """Change the size, the name or other properties of a volume."""
        self._api_call('POST', f'/ctrl/1.0/MultiCluster/VolumeUpdate/{volume}', data)

    def volume_revert(self, volume: str, data: Any) -> None:
        """Take a volume back to a snapshot."""
        self._api_call('POST', f'/ctrl/1.0/MultiCluster/VolumeRevert/{volume}', data)

    def volume_delete(self, volume: str) -> None:
        """Delete a volume."""
        self._api_call('POST', f'/ctrl/1.0/MultiCluster/VolumeDelete/{volume}')

    def volumes_list(self) -> Any:
        """Return the descriptions of all volumes."""
        return self._api_call('GET', '/ctrl/1.0/MultiCluster/VolumesList')

    def snapshot_create(self, volume: str, data: Any) -> None:
        """Create a snapshot of a volume."""
        self._api_call('POST', f'/ctrl/1.0/MultiCluster/VolumeSnapshot/{volume}', data)

    def snapshot_update(self, snapshot: str, data: Any) -> None:
        """Change the properties of a snapshot."""
        self._api_call('POST', f'/ctrl/1.0/SnapshotUpdate/{snapshot}', data)

    def snapshot_delete(self, snapshot: str) -> None:
        """Delete a snapshot."""
        self._api_call('POST', f'/ctrl/1.0/MultiCluster/SnapshotDelete/{snapshot}')

    def get_iscsi_config(self) -> Any:
        """Return the portals, targets and exports of the cluster."""
        return self._api_call('GET', '/ctrl/1.0/iSCSIConfig')

    def post_iscsi_config(self, data: Any) -> Any:
        """Change the portals, targets and exports of the cluster."""
        return self._api_call('POST', '/ctrl/1.0/iSCSIConfig', data)


def _may_pass(exc: Exception) -> bool:
    """Tell whether a request that failed so may succeed when the API is up again."""
    if isinstance(exc, http.client.HTTPException):
        # An address or a name that cannot be sent stays like that.
        return not isinstance(exc, http.client.InvalidURL)
    return isinstance(exc, OSError) and exc.errno in (errno.ECONNREFUSED, errno.ECONNRESET)

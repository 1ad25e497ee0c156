# SPDX-License-Identifier: Apache-2.0
"""The REST interface of a PowerFlex gateway, as far as attaching and detaching needs it.

Nothing here knows the host or keeps state of a volume.  Passwords and tokens leave this
module in the Authorization header only.
"""

import dataclasses
import json
import ssl
from typing import Any, Callable, NamedTuple, Optional, Union
import urllib.parse

from oslo_log import log as logging
from oslo_utils import netutils
from oslo_utils import strutils

from os_brick import exception
from os_brick.i18n import _

LOG = logging.getLogger(__name__)

_OK = 200
_BAD_TOKEN = (401, 403)

#: Error codes that say that there is no such volume.
NOT_FOUND = (78, 79)


class Answer(NamedTuple):
    """What the gateway said: its JSON, or None if that was none."""

    status: int
    content: Any

    @property
    def ok(self) -> bool:
        return self.status == _OK

    @property
    def error_code(self) -> Any:
        return self.content.get('errorCode') if isinstance(self.content, dict) else None

    @property
    def message(self) -> str:
        if isinstance(self.content, dict) and self.content.get('message'):
            return str(self.content['message'])
        return f'HTTP status {self.status}'


@dataclasses.dataclass
class Session:
    """A login that is worth keeping between calls."""

    username: Optional[str] = None
    token: Optional[str] = dataclasses.field(default=None, repr=False)


class Gateway:
    """One gateway, used by one account."""

    #: Seconds until the connection has to stand, and between two pieces of an answer.  A
    #: lock that every attach of the host needs is held meanwhile.
    TIMEOUT = (30, 120)

    def __init__(self, properties: dict, session: Session,
                 read_account: Callable[[], tuple[str, str]]) -> None:
        """Take the connection properties; nobody is asked yet.

        :param session: used and renewed
        :param read_account: gives the user name and the password, called when they are needed
        :raises InvalidParameterValue: the properties do not say where the gateway is
        """
        self.url = _url(properties)
        self._verify = _verification(properties)
        self._session = session
        self._read_account = read_account

    def find_volume_id(self, name: str) -> str:
        """Return the id of the volume with this name.

        :raises NotFound: there is none
        :raises BrickException: the gateway did not say
        """
        # The gateway decodes the path twice.
        encoded = urllib.parse.quote(urllib.parse.quote(name, ''), '')
        answer = self._call(f'/api/types/Volume/instances/getByName::{encoded}')
        if answer.error_code in NOT_FOUND or answer.ok and not answer.content:
            raise exception.NotFound(
                _("Volume with name %(volume_name)s wasn't found.") % {'volume_name': name})
        if not answer.ok or not isinstance(answer.content, str):
            raise exception.BrickException(
                _('Error getting volume id from name %(volume_name)s: %(err)s')
                % {'volume_name': name, 'err': answer.message})
        return answer.content

    def map_volume(self, volume_id: str, guid: str) -> Answer:
        """Let the SDC with this GUID use the volume, beside those that may already."""
        return self._act(volume_id, 'addMappedSdc',
                         {'guid': guid, 'allowMultipleMappings': 'TRUE'})

    def unmap_volume(self, volume_id: str, guid: str) -> Answer:
        """Take the volume from the SDC with this GUID."""
        return self._act(volume_id, 'removeMappedSdc', {'guid': guid})

    def set_limits(self, volume_id: str, guid: str, limits: dict) -> Answer:
        """Limit what the SDC may do to the volume: `iopsLimit`, `bandwidthLimitInKbps`."""
        return self._act(volume_id, 'setMappedSdcLimits', {'guid': guid, **limits})

    def _act(self, volume_id: str, action: str, parameters: dict) -> Answer:
        encoded = urllib.parse.quote(volume_id, '')
        return self._call(f'/api/instances/Volume::{encoded}/action/{action}', parameters)

    def _call(self, path: str, parameters: Optional[dict] = None) -> Answer:
        """Send a request with a valid token; one that has expired is renewed once."""
        session = self._session
        had_token = session.token is not None
        if session.token is None or session.username is None:
            self._log_in()
        answer = self._send(path, session.username, session.token, parameters)
        if answer.status in _BAD_TOKEN and had_token:
            LOG.info('Token is invalid, going to re-login to get a new one')
            self._log_in()
            answer = self._send(path, session.username, session.token, parameters)
        return answer

    def _log_in(self) -> None:
        username, password = self._read_account()
        self._session.token = None
        answer = self._send('/api/login', username, password)
        if not answer.ok or not isinstance(answer.content, str) or not answer.content:
            raise exception.BrickException(
                _('PowerFlex gateway %(url)s refused the login of %(user)s: %(err)s')
                % {'url': self.url, 'user': username, 'err': answer.message})
        self._session.username, self._session.token = username, answer.content

    def _send(self, path: str, username: Optional[str], secret: Optional[str],
              parameters: Optional[dict] = None) -> Answer:
        # Not at the top: importing it opens a socket, and only this protocol needs it.
        import requests
        method = 'GET' if parameters is None else 'POST'
        url = self.url + path
        LOG.debug('%(method)s %(url)s %(parameters)s',
                  {'method': method, 'url': url, 'parameters': parameters or ''})
        options = {'auth': (_octets(username), _octets(secret)), 'verify': self._verify,
                   'timeout': self.TIMEOUT}
        try:
            if parameters is None:
                response = requests.get(url, **options)
            else:
                response = requests.post(url, data=json.dumps(parameters),
                                         headers={'content-type': 'application/json'}, **options)
        except (OSError, ValueError) as exc:
            raise exception.BrickException(
                _('PowerFlex gateway %(url)s: %(err)s')
                % {'url': self.url, 'err': self._reason(exc)}) from exc
        if response.history and response.request.method != method:
            # A redirect has made a harmless GET of it, whose success means nothing.
            raise exception.BrickException(
                _('PowerFlex gateway %(url)s: %(err)s')
                % {'url': self.url, 'err': f'{method} was redirected to {response.url}'})
        return Answer(response.status_code, _json_of(response))

    def _reason(self, exc: Exception) -> str:
        import requests
        if isinstance(exc, requests.exceptions.ConnectTimeout):
            return _('no connection within %s seconds') % self.TIMEOUT[0]
        if isinstance(exc, requests.exceptions.Timeout):
            return _('no answer within %s seconds') % self.TIMEOUT[1]
        # requests wraps what urllib3 wraps around the error somebody can act on.
        inner = getattr(exc.args[0], 'reason', None) if exc.args else None
        cause = inner.args[0] if getattr(inner, 'args', None) else inner
        if isinstance(exc, requests.exceptions.SSLError) or isinstance(cause, ssl.SSLError):
            return _('its certificate was not accepted: %s') % (cause or exc)
        return str(inner or exc)


def _json_of(response: Any) -> Any:
    try:
        return response.json()
    except ValueError:
        # Success of an action has no content, and a proxy's errors are pages.
        return None


def _octets(text: Optional[str]) -> bytes:
    """Encode for Basic authentication: as requests does, or what it cannot as UTF-8."""
    try:
        return (text or '').encode('latin-1')
    except UnicodeEncodeError:
        return (text or '').encode('utf-8')


def _url(properties: dict) -> str:
    """Return `https://address:port` of the gateway the properties name."""
    address = properties.get('serverIP')
    if not isinstance(address, str) or not address or set(address) & set('/?#@\\') \
            or not address.isascii() or not address.isprintable() or ' ' in address:
        raise _invalid('serverIP', address)
    port = properties.get('serverPort')
    if isinstance(port, bool) or not netutils.is_valid_port(port):
        raise _invalid('serverPort', port)
    if not address.startswith('['):
        address = netutils.escape_ipv6(address)
    return f'https://{address}:{int(port)}'


def _verification(properties: dict) -> Union[bool, str]:
    """Return whether certificates are checked, or the file or directory to check them with."""
    verify = properties.get('verify_certificate')
    # An attachment from before the property existed has always been checked.
    if verify is None:
        return True
    try:
        verify = strutils.bool_from_string(verify, strict=True)
    except ValueError:
        raise _invalid('verify_certificate', verify)
    path = properties.get('certificate_path')
    if not verify or not path:
        return verify
    if not isinstance(path, str):
        raise _invalid('certificate_path', path)
    return path


def _invalid(name: str, value: Any) -> exception.InvalidParameterValue:
    return exception.InvalidParameterValue(
        f'the connection property {name} must tell how to reach the PowerFlex gateway, '
        f'and is {value!r}')

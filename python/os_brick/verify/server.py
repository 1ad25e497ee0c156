# SPDX-License-Identifier: Apache-2.0
"""Serves the application: addresses, limits, and how it starts and ends."""

import dataclasses
import ipaddress
import logging
import os
import signal
import threading
import time
from typing import Any, Callable, Optional

from waitress import channel
from waitress import server as waitress_server
from waitress import task

from os_brick.verify import app
from os_brick.verify import host
from os_brick.verify import masking
from os_brick.verify import problems
from os_brick.verify import tokens

LOG = logging.getLogger('os_brick.verify')

DEFAULT_PORT = 9713
WARNING = 'this service is for test clouds, not for production: it tells whoever has the token what is attached here'
#: Requests that are worked on at once; looking takes milliseconds, only asking the disks takes longer.
_THREADS = 4
_CONNECTIONS = 40
_LARGEST_HEADER = 16 * 1024


class _Error(task.ErrorTask):
    """Answers what is no HTTP, or too much of it, as everything else is answered."""

    def execute(self) -> None:
        error = self.request.error
        body = problems.body(error.code, str(error.body)).encode()
        self.status = f'{error.code} {error.reason}'
        self.response_headers.append(('Content-Type', problems.MEDIA_TYPE))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _Channel(channel.HTTPChannel):
    """A connection whose deadline is for a whole request or answer, not for its next byte."""

    error_task_class = _Error
    _active = 0.0

    @property
    def last_activity(self) -> float:
        """Return when this connection last did something that counts; the server closes it some time after."""
        return self._active

    @last_activity.setter
    def last_activity(self, now: float) -> None:
        # A client that sends or takes a byte now and then does not prolong its stay.
        if self.request is None and not self.total_outbufs_len:
            self._active = now

    def received(self, data: bytes) -> bool:
        """Take some bytes; the deadline runs from the first of them."""
        fresh = self.request is None
        if fresh:
            self._active = time.time()
        return super().received(data)

    def write_soon(self, data: Any) -> int:
        """Send a part of an answer; the deadline for taking it runs from the last part."""
        self._active = time.time()
        return super().write_soon(data)


def is_loopback(address: str) -> bool:
    """Tell whether only this host reaches an address.

    :raises ValueError: it is no address; a name may come to mean another
    """
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        raise ValueError(f'--listen {address} is no IP address') from None


def _set_up_log(token: str, debug: bool) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(masking.Formatter(token))
    logging.basicConfig(level=logging.DEBUG if debug else logging.INFO, handlers=[handler], force=True)
    # Says at each start that another library was chosen, which nobody asked.
    logging.captureWarnings(True)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the service can be told."""

    token_file: Optional[str] = None
    listen: str = '127.0.0.1'
    port: int = DEFAULT_PORT
    beyond_loopback: bool = False
    root: str = '/'
    #: Seconds for sending a whole request, and for taking a whole answer.
    request_timeout: int = 20
    debug: bool = False

    def check(self) -> None:
        """Refuse what makes no sense or is not safe.

        :raises ValueError: naming the option
        """
        if not is_loopback(self.listen) and not self.beyond_loopback:
            raise ValueError(f'--listen {self.listen} can be reached by other hosts, and the token crosses the network '
                             'in the clear; --beyond-loopback allows it')
        if not os.path.isdir(self.root):
            raise ValueError(f'--root {self.root} is no directory')


def _make_server(settings: Settings, token: str) -> Any:
    application = app.make(host.Host(settings.root), token)
    made = waitress_server.create_server(
        application, listen=f'{_bracketed(settings.listen)}:{settings.port}', threads=_THREADS,
        connection_limit=_CONNECTIONS, max_request_header_size=_LARGEST_HEADER,
        max_request_body_size=app.LARGEST_BODY, channel_timeout=settings.request_timeout, cleanup_interval=1,
        channel_request_lookahead=0, ident=None, expose_tracebacks=False, clear_untrusted_proxy_headers=True)
    made.channel_class = _Channel
    return made


def _bracketed(address: str) -> str:
    return f'[{address}]' if ':' in address else address


def serve(settings: Settings, started: Callable[[str], None]) -> int:
    """Serve until SIGTERM or SIGINT.

    :param started: called with the address of the service once it listens
    :raises ValueError: a setting or the token is not fit
    :raises OSError: the address cannot be listened on
    """
    settings.check()
    token = tokens.of_service(settings.token_file, os.environ)
    # A program this service starts need not know it.
    os.environ.pop(tokens.VARIABLE, None)
    _set_up_log(token, settings.debug)
    made = _make_server(settings, token)
    ended = _on_signals()
    LOG.warning('%s', WARNING)
    threading.Thread(target=made.run, name='waitress', daemon=True).start()
    started(f'http://{_bracketed(made.effective_host)}:{made.effective_port}/')
    os.read(ended, 1)
    LOG.info('ending')
    made.task_dispatcher.shutdown(timeout=2)
    return 0


def _on_signals() -> int:
    """Return a file descriptor that can be read when somebody wants the service to end.

    An exception from a handler could come up anywhere in the server's loop, and be swallowed there.
    """
    ended, wanted = os.pipe()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os.write(wanted, b'x'))
    return ended

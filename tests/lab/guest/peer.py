"""The other host of a case with two: does what the scenario on the first one asks, over their network.

    lab.peer.call('guest.host:sessions')
    service = lab.peer.make('guest.os_brick_command:Command', 'verify-serve')      # an object that stays there
    service.wait(60)

One JSON object a line: {"target": "module:name", or "@N:name" of an object that stays, "args", "kwargs", "keep"}; back comes
{"value"}, {"object": N} or {"error"}. What must not live here: anything a scenario decides.
"""

import dataclasses
import importlib
import itertools
import json
import socket
import traceback

from guest import clean, daemons, multipath_conf, poll, wire

PORT = 7700
#: For the scenario to come, and to answer a call.
SECONDS = 300


class PeerError(Exception):
    """The other host raised; the text is its traceback."""


class Peer:
    """The first host's side."""

    def __init__(self):
        wire.set_up(1)
        self._socket = poll.until(self._connected, SECONDS, 'the other host answers', interval=0.2)
        self._socket.settimeout(SECONDS)
        self._answers = self._socket.makefile()

    def _connected(self):
        try:
            return socket.create_connection((wire.ADDRESSES[2], PORT), timeout=5)
        except OSError:
            return None

    def call(self, target, *args, **kwargs):
        return self._ask(target=target, args=args, kwargs=kwargs)['value']

    def make(self, target, *args, **kwargs):
        return Kept(self, self._ask(target=target, args=args, kwargs=kwargs, keep=True)['object'])

    def _ask(self, **request):
        self._socket.sendall(json.dumps(request, default=str).encode() + b'\n')
        answer = json.loads(self._answers.readline() or '{"error": "it is gone"}')
        if 'error' in answer:
            raise PeerError(answer['error'])
        return answer

    def close(self):
        self._answers.close()
        self._socket.close()


class Kept:
    """An object on the other host; attribute access makes a method, `get` reads an attribute."""

    def __init__(self, peer, number):
        self._peer, self._number = peer, number

    def get(self, name):
        return self._peer.call('builtins:getattr', {'__object__': self._number}, name)

    def __getattr__(self, name):
        return lambda *args, **kwargs: self._peer.call(f'@{self._number}:{name}', *args, **kwargs)


class Served:
    """The other host's side."""

    def __init__(self):
        self.objects, self.numbers = {}, itertools.count(1)

    def answer(self, request):
        try:
            value = self.find(request['target'])(*map(self.decode, request['args']), **request['kwargs'])
        except Exception:
            return {'error': traceback.format_exc()}
        if not request.get('keep'):
            return {'value': value}
        number = next(self.numbers)
        self.objects[number] = value
        return {'object': number}

    def find(self, target):
        place, _, name = target.partition(':')
        return getattr(self.objects[int(place[1:])] if place.startswith('@') else importlib.import_module(place), name)

    def decode(self, value):
        return self.objects[value['__object__']] if isinstance(value, dict) and '__object__' in value else value


def plain(value):
    if dataclasses.is_dataclass(value):
        return dataclasses.asdict(value)
    return sorted(value) if isinstance(value, set) else str(value)


def main():
    wire.set_up(2)
    daemons.start('iscsid')
    multipath_conf.apply(None)
    listener = socket.create_server((wire.ADDRESSES[2], PORT))
    listener.settimeout(SECONDS)
    served = Served()
    with listener.accept()[0] as connection:
        for line in connection.makefile():
            connection.sendall(json.dumps(served.answer(json.loads(line)), default=plain).encode() + b'\n')
    # The scenario has ended; the next one finds a clean host.
    clean.force()


if __name__ == '__main__':
    main()

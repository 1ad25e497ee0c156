# SPDX-License-Identifier: Apache-2.0
"""A small StorPool: its API on localhost, and the devices of one host."""

import http.server
import json
import socket
import struct
import threading

TOKEN = '1234567890123456789'
PREFIX = '/ctrl/1.0/'


class StorPool:
    """Volumes by name with their global ids, attached to clients.

    `next` holds answers for the requests to come, each (status, body) or a name of `_Handler`
    below; None is an ordinary one.
    """

    def __init__(self, root):
        self.by_name, self.by_id = root / 'storpool', root / 'storpool-byid'
        for directory in (self.by_name, self.by_id, root / 'dev'):
            directory.mkdir()
        self.devices = root / 'dev'
        self.volumes = {}
        self.attached = {}
        self.open = set()
        self.requests = []
        self.next = []
        #: False: devices come and go only when a test says so.
        self.prompt = True
        self.closing = threading.Event()

        class Handler(_Handler):
            storpool = self

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={'poll_interval': 0.01},
                         daemon=True).start()

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()

    def create(self, name, global_id, size=0):
        self.volumes[global_id] = {'name': name, 'globalId': global_id, 'size': size}

    def device(self, global_id):
        """Make the device of a volume and its links, as udev does."""
        volume = self.volumes[global_id]
        device = self.devices / f'sp-{global_id}'
        device.touch()
        for link in (self.by_id / global_id, self.by_name / volume['name']):
            if not link.is_symlink():
                link.symlink_to(device)

    def bodies(self, end='VolumesReassignWait'):
        return [body for _method, path, body in self.requests if path.endswith(end)]

    def find(self, name):
        for global_id, volume in self.volumes.items():
            if name in (volume['name'], f'~{global_id}'):
                return volume
        return None

    def answer(self, method, path, body):
        call = path.removeprefix(PREFIX).removeprefix('MultiCluster/')
        if call == 'VolumesReassignWait':
            for order in body['reassign']:
                error = self.reassign(order)
                if error:
                    return error
            return 200, {'data': {'ok': True}}
        verb, _slash, name = call.partition('/')
        volume = self.find(name)
        if volume is None:
            return failure(404, 'objectDoesNotExist', f"Volume '{name}' does not exist")
        return 200, {'data': {'Volume': [volume], 'VolumeGetInfo': volume}[verb]}

    def reassign(self, order):
        volume = self.find(order['volume'])
        if volume is None:
            return failure(404, 'objectDoesNotExist', f"Volume '{order['volume']}' does not exist")
        global_id = volume['globalId']
        for client in order.get('detach', ()):
            if global_id in self.open and not order.get('force'):
                return failure(409, 'busy', f"'{volume['name']}' is open at client {client}")
            self.attached.pop(global_id, None)
        for mode in ('rw', 'ro'):
            for client in order.get(mode, ()):
                self.attached[global_id] = (client, mode)
                if self.prompt:
                    self.device(global_id)
        return None


def failure(status, name, text, **more):
    return status, {'error': {'name': name, 'descr': text, **more}}


class _Handler(http.server.BaseHTTPRequestHandler):

    storpool = None

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.respond('GET')

    def do_POST(self):
        self.respond('POST')

    def respond(self, method):
        storpool = self.storpool
        length = int(self.headers.get('content-length') or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        storpool.requests.append((method, self.path, body))
        said = storpool.next.pop(0) if storpool.next else None
        if isinstance(said, str):
            getattr(self, said)()
            return
        if self.headers['authorization'] != f'Storpool v1:{TOKEN}':
            said = failure(401, 'unauthorized', 'Bad token')
        status, content = said or storpool.answer(method, self.path, body)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(content if isinstance(content, bytes) else json.dumps(content).encode())

    def hang_up(self):
        self.close_connection = True

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.rfile.close()
        self.wfile.close()
        self.connection.close()

    def be_silent(self):
        self.storpool.closing.wait(30)

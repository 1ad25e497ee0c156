# SPDX-License-Identifier: Apache-2.0
"""A small PowerFlex: a gateway on localhost, and the SDC of one host with its devices."""

import base64
import http.server
import json
import pathlib
import ssl
import threading
import urllib.parse
import uuid

TLS = pathlib.Path(__file__).parents[1] / 'fixtures' / 'tls'
GUID = '013a5304-d053-4b30-a34f-ee3ad983236d'
SYSTEM = '00df72815d3b900f'

#: Error codes up to 3.x and from 4.x on.
CODES = {3: {'mapped': 81, 'not mapped': 84}, 4: {'mapped': 4037, 'not mapped': 4039}}
NO_SUCH_VOLUME = 79


class Sdc:
    """The kernel client: its control device, and a by-id link for each mapped volume."""

    def __init__(self, root):
        self.control = root / 'scini'
        self.control.touch()
        self.by_id = root / 'by-id'
        self.devices = root / 'dev'
        self.devices.mkdir()
        self.guid = GUID
        self.operations = []
        #: False: devices come and go only when a test says so.
        self.prompt = True

    def ioctl(self, descriptor, number, argument):
        """Stands in for the system call on the control device."""
        assert pathlib.Path(f'/proc/self/fd/{descriptor}').resolve() == self.control
        self.operations.append((number, len(argument)))
        if number == 0x610e:
            return bytes([65] + [0] * 7) + uuid.UUID(self.guid).bytes
        assert number == 0x610a
        return argument

    def link(self, volume_id, system=SYSTEM):
        return self.by_id / f'emc-vol-{system}-{volume_id}'

    def add(self, volume_id, system=SYSTEM):
        self.by_id.mkdir(exist_ok=True)
        device = self.devices / f'scini-{system}-{volume_id}'
        device.touch()
        if not self.link(volume_id, system).is_symlink():
            self.link(volume_id, system).symlink_to(device)

    def remove(self, volume_id):
        self.link(volume_id).resolve().unlink()
        self.link(volume_id).unlink()


class Gateway:
    """Volumes, accounts, tokens and mappings behind the REST interface.

    `answers` holds what is said instead for a path that ends so: (status, body).  `during`
    is called in the middle of an action, with its name.
    """

    def __init__(self, sdc, tls=True):
        self.sdc = sdc
        self.release = 4
        self.accounts = {'admin': 'secret-of-admin'}
        self.volumes = {}
        self.mappings = set()
        self.limits = {}
        self.requests = []
        self.logins = []
        self.tokens = set()
        self.answers = {}
        self.during = lambda action: None
        self.silent = False
        self.closing = threading.Event()
        gateway = self

        class Handler(_Handler):
            pass

        Handler.gateway = gateway
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(TLS / 'gateway.crt', TLS / 'gateway.key')
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={'poll_interval': 0.01},
                         daemon=True).start()

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()

    def actions(self):
        """The paths that were asked for, logins included."""
        return [path.removeprefix('/api/') for _method, path, _body in self.requests]

    def login(self, username, password):
        self.logins.append((username, password))
        if self.accounts.get(username) != password:
            return 401, {'message': 'Unauthorized', 'httpStatusCode': 401, 'errorCode': 0}
        token = f'token-{len(self.logins)}'
        self.tokens.add((username, token))
        return 200, token

    def answer(self, method, path, username, secret, body):
        self.requests.append((method, path, body))
        for end, answer in self.answers.items():
            if path.endswith(end):
                return answer() if callable(answer) else answer
        if path == '/api/login':
            return self.login(username, secret)
        if (username, secret) not in self.tokens:
            return 401, {'message': 'Unauthorized', 'httpStatusCode': 401, 'errorCode': 0}
        kind, _separator, rest = path.partition('::')
        if (method, kind) == ('GET', '/api/types/Volume/instances/getByName'):
            return self.by_name(rest)
        volume_id, _separator, action = rest.partition('/action/')
        if (method, kind) != ('POST', '/api/instances/Volume') or not action:
            return 404, {'message': 'no such request', 'httpStatusCode': 404, 'errorCode': 0}
        if volume_id not in self.volumes:
            return 500, {'message': 'Could not find the volume', 'errorCode': NO_SUCH_VOLUME}
        return getattr(self, action)(volume_id, body)

    def by_name(self, encoded):
        # The real one takes the encoding off twice.
        name = urllib.parse.unquote(urllib.parse.unquote(encoded))
        for volume_id, known in self.volumes.items():
            if known == name:
                return 200, volume_id
        return 500, {'message': 'Could not find the volume', 'errorCode': NO_SUCH_VOLUME}

    def error(self, what):
        code = CODES[self.release][what]
        return 500, {'message': f'The volume is {what}', 'httpStatusCode': 500, 'errorCode': code}

    def addMappedSdc(self, volume_id, body):
        assert set(body) == {'guid', 'allowMultipleMappings'}
        assert body['allowMultipleMappings'] == 'TRUE'
        self.during('map')
        if (volume_id, body['guid']) in self.mappings:
            return self.error('mapped')
        self.mappings.add((volume_id, body['guid']))
        if self.sdc.prompt:
            self.sdc.add(volume_id)
        return 200, ''

    def removeMappedSdc(self, volume_id, body):
        assert set(body) == {'guid'}
        self.during('unmap')
        if (volume_id, body['guid']) not in self.mappings:
            return self.error('not mapped')
        self.mappings.remove((volume_id, body['guid']))
        if self.sdc.prompt:
            self.sdc.remove(volume_id)
        return 200, ''

    def setMappedSdcLimits(self, volume_id, body):
        if (volume_id, body.pop('guid')) not in self.mappings:
            return self.error('not mapped')
        self.limits[volume_id] = body
        return 200, ''


class _Handler(http.server.BaseHTTPRequestHandler):

    gateway = None

    def log_message(self, *args):
        pass

    def handle(self):
        try:
            super().handle()
        except (ssl.SSLError, ConnectionError):
            # A client that does not like the certificate hangs up.
            pass

    def do_GET(self):
        self.respond('GET', None)

    def do_POST(self):
        assert self.headers['content-type'] == 'application/json'
        self.respond('POST', json.loads(self.rfile.read(int(self.headers['content-length']))))

    def respond(self, method, body):
        gateway = self.gateway
        kind, _space, encoded = self.headers['authorization'].partition(' ')
        assert kind == 'Basic'
        username, _colon, secret = base64.b64decode(encoded).decode().partition(':')
        status, content = gateway.answer(method, self.path, username, secret, body)
        if gateway.silent:
            gateway.closing.wait(30)
            return
        self.send_response(status)
        if status in (301, 302, 303, 307, 308):
            self.send_header('location', content)
            content = ''
        self.end_headers()
        # Actions that succeed say nothing at all.
        text = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.wfile.write(b'' if content == '' else text)

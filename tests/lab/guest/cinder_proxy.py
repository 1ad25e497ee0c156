"""Stands between a client and Cinder's API, hands requests on, and does to one of them what a fault says.

A step is the method and the action, as `POST attachments`, `POST attachments os-complete`. What must not live here: what
is to be expected of a client whose step failed.
"""

import http.client
import http.server
import json
import threading

from guest.cinder_client import PORT, PROJECT

PROXY_PORT = 8777
REFUSE, LOSE, INTERRUPT = 'refuse', 'lose', 'interrupt'


class Proxy:
    """One at a time; `fault` is (step, what) and is spent when it was met."""

    def __init__(self):
        self.fault = self.interrupt = None
        self.steps, self.spent = [], threading.Event()
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', PROXY_PORT), _handler(self))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def arm(self, step, what, interrupt=None):
        """:param interrupt: called for INTERRUPT when Cinder has done the step, instead of the answer"""
        self.fault, self.interrupt, self.steps = (step, what), interrupt, []
        self.spent.clear()

    def take(self, step):
        """What is to be done to this request."""
        self.steps.append(step)
        if self.fault and self.fault[0] == step:
            what, self.fault = self.fault[1], None
            self.spent.set()
            return what
        return None

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def step_of(method, path, body):
    """`/v3/PROJECT/attachments/ID/action` with `{"os-complete": ...}` is `POST attachments os-complete`."""
    words = [word for word in path.partition('?')[0].split('/') if word not in ('', 'v3', PROJECT)]
    action = next(iter(json.loads(body)), '') if words[-1:] == ['action'] and body else ''
    return ' '.join(filter(None, (method, *words[:1], action)))


def _handler(proxy):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def answer(self):
            body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
            what = proxy.take(step_of(self.command, self.path, body))
            if what == REFUSE:
                self.reply(500, [('Content-Type', 'application/json')],
                           b'{"computeFault": {"code": 500, "message": "refused by the lab"}}')
                return
            status, headers, data = self.hand_on(body)
            if what in (LOSE, INTERRUPT):
                if what == INTERRUPT:
                    proxy.interrupt()
                self.close_connection = True
                return
            self.reply(status, headers, data)

        do_GET = do_POST = do_PUT = do_DELETE = answer

        def hand_on(self, body):
            connection = http.client.HTTPConnection('127.0.0.1', PORT, timeout=600)
            try:
                headers = {name: value for name, value in self.headers.items() if name.lower() != 'connection'}
                connection.request(self.command, self.path, body, headers)
                answer = connection.getresponse()
                return answer.status, answer.getheaders(), answer.read()
            finally:
                connection.close()

        def reply(self, status, headers, data):
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in ('content-length', 'transfer-encoding', 'connection'):
                    self.send_header(name, value)
            self.send_header('Content-Length', str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_arguments):
            pass

    return Handler

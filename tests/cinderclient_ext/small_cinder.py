# SPDX-License-Identifier: Apache-2.0
"""A small Cinder that behaves: volumes with states, attachments, exports, microversions, over HTTP."""

import http.server
import json
import re
import threading
import uuid

PROJECT = 'project'


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class SmallCinder:
    """Its state can be read by tests; `faults` names what fails next, before or after it is done.

    A fault is (status, done first?), where status 0 closes the connection without an answer.
    `reached` has what to call when something is asked, or `after ...` it was done and is not answered yet.
    """

    def __init__(self, newest='3.71'):
        self.newest = newest
        self.volumes, self.attachments = {}, {}
        self.exports = set()
        self.faults, self.seen, self.reached = {}, [], {}
        self.lock = threading.RLock()
        cinder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def handle_any(self):
                length = int(self.headers.get('Content-Length') or 0)
                body = json.loads(self.rfile.read(length) or 'null')
                status, answer = cinder.answer(self.command, self.path, body)
                if not status:
                    self.close_connection = True
                    return
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header('Content-Type', 'application/json')
                self.send_header('Content-Length', str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{self.server.server_port}'
        self.endpoint = f'{self.url}/v3/{PROJECT}'
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def add(self, name, path, **more):
        volume = {'id': str(uuid.uuid4()), 'name': name, 'status': 'available', 'multiattach': False,
                  'path': str(path), 'protocol': 'local', **more}
        self.volumes[volume['id']] = volume
        return volume

    def of(self, volume):
        return [entry for entry in self.attachments.values() if entry['volume_id'] == volume['id']]

    def answer(self, method, path, body):
        path, _, query = path.partition('?')
        name, call = self.route(method, path, query, body)
        self.seen.append(name)
        status, done_first = self.faults.pop(name, (None, False))
        if name in self.reached:
            self.reached.pop(name)()
        try:
            if status is not None and not done_first:
                raise Refused(status, f'{name} fails')
            with self.lock:
                result = call()
            if f'after {name}' in self.reached:
                self.reached.pop(f'after {name}')()
            if status is not None:
                raise Refused(status, f'{name} fails')
            return 200, result
        except Refused as error:
            return error.status, {'error': {'message': str(error), 'code': error.status}}

    def route(self, method, path, query, body):
        """The name of what is asked, and what does it."""
        if not path.startswith(f'/v3/{PROJECT}'):
            return 'versions', lambda: {'versions': [
                {'id': 'v3.0', 'status': 'CURRENT', 'version': self.newest, 'min_version': '3.0', 'links': []}]}
        parts = path.removeprefix(f'/v3/{PROJECT}/').split('/')
        if parts[0] == 'attachments':
            return self.route_attachment(method, parts[1:], query, body)
        if len(parts) == 3:
            action, = body
            return action, lambda: getattr(self, action.replace('-', '_'))(self.find(parts[1]), body[action])
        if len(parts) == 2 and parts[1] != 'detail':
            return 'show volume', lambda: {'volume': self.view(self.find(parts[1]))}
        named = re.search(r'(?:^|&)name=([^&]*)', query)
        return 'list volumes', lambda: {'volumes': [
            self.view(volume) for volume in self.volumes.values() if not named or volume['name'] == named[1]]}

    def route_attachment(self, method, parts, query, body):
        if not parts and method == 'POST':
            return 'create', lambda: self.create(body['attachment'])
        if not parts:
            volume = re.search('volume_id=([^&]*)', query)[1]
            return 'list attachments', lambda: {'attachments': [
                entry for entry in self.attachments.values() if entry['volume_id'] == volume]}
        if len(parts) == 2:
            return 'complete', lambda: self.complete(self.find_attachment(parts[0]))
        verbs = {'GET': lambda entry: {'attachment': entry}, 'DELETE': self.delete,
                 'PUT': lambda entry: self.update(entry, body['attachment']['connector'])}
        return {'GET': 'show', 'DELETE': 'delete', 'PUT': 'update'}[method], \
            lambda: verbs[method](self.find_attachment(parts[0]))

    def find(self, name):
        if name not in self.volumes:
            raise Refused(404, f'Volume {name} could not be found.')
        return self.volumes[name]

    def find_attachment(self, name):
        if name not in self.attachments:
            raise Refused(404, f'Attachment {name} could not be found.')
        return self.attachments[name]

    def view(self, volume):
        return {'id': volume['id'], 'name': volume['name'], 'status': volume['status'], 'attachments': [
            {'attachment_id': entry['id'], 'host_name': entry['host']} for entry in self.of(volume)]}

    def become(self, volume, status, *wanted):
        if volume['status'] not in wanted:
            raise Refused(400, f'Invalid volume: status is {volume["status"]}')
        volume['status'] = status

    def settle(self, volume):
        volume['status'] = 'in-use' if self.of(volume) else 'available'

    # The attachments API.

    def create(self, wanted):
        assert 'instance_uuid' not in wanted, 'Nova would be asked about it when it is deleted'
        volume = self.find(wanted['volume_uuid'])
        self.become(volume, 'reserved', 'available', *(['in-use'] if volume['multiattach'] else []))
        entry = {'id': str(uuid.uuid4()), 'volume_id': volume['id'], 'status': 'reserved', 'instance': None,
                 'host': None, 'connection_info': {}, 'connector': None}
        self.attachments[entry['id']] = entry
        return {'attachment': entry}

    def update(self, entry, connector):
        volume = self.volumes[entry['volume_id']]
        self.exports.add(volume['id'])
        entry.update(status='attaching', host=connector['host'], connector=connector, connection_info={
            'driver_volume_type': volume['protocol'], 'device_path': volume['path'], 'attachment_id': entry['id']})
        return {'attachment': entry}

    def complete(self, entry):
        entry['status'] = 'attached'
        self.volumes[entry['volume_id']]['status'] = 'in-use'
        return {}

    def delete(self, entry):
        del self.attachments[entry['id']]
        volume = self.volumes[entry['volume_id']]
        if not self.of(volume):
            self.exports.discard(volume['id'])
        self.settle(volume)
        return {'attachments': self.of(volume)}

    # Actions of a volume.

    def os_reserve(self, volume, _):
        self.become(volume, 'attaching', 'available')

    def os_unreserve(self, volume, _):
        if volume['status'] == 'attaching':
            self.settle(volume)

    def os_initialize_connection(self, volume, wanted):
        assert wanted['connector']['host']
        self.exports.add(volume['id'])
        return {'connection_info': {'driver_volume_type': volume['protocol'], 'data': {'device_path': volume['path']}}}

    def os_terminate_connection(self, volume, _):
        self.exports.discard(volume['id'])
        self.os_unreserve(volume, None)

    def os_attach(self, volume, wanted):
        entry = {'id': str(uuid.uuid4()), 'volume_id': volume['id'], 'status': 'attached', 'instance': None,
                 'host': wanted['host_name'], 'mountpoint': wanted['mountpoint'], 'mode': wanted['mode']}
        self.attachments[entry['id']] = entry
        volume['status'] = 'in-use'

    def os_begin_detaching(self, volume, _):
        self.become(volume, 'detaching', 'in-use')

    def os_roll_detaching(self, volume, _):
        if volume['status'] == 'detaching':
            volume['status'] = 'in-use'

    def os_detach(self, volume, wanted):
        found = [entry for entry in self.of(volume) if wanted['attachment_id'] in (None, entry['id'])]
        for entry in found:
            del self.attachments[entry['id']]
        self.settle(volume)

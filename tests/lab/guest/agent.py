"""The guest's end of the wire: runs one command at a time for the host and streams what it prints.

Protocol, one JSON object a line over a virtio-serial port. The host sends {"run": argv, "stdin": text,
"timeout": seconds}, {"put": path, "data": base64, "append": bool} or {"hello": true}; back come {"ready": uptime},
{"out": line}, {"err": line} and {"exit": status}. A new {"run"} or {"hello"} ends a command that still runs,
because its host went away.
What must not live here: anything about scenarios; the agent outlives refreshed code, so it stays small.
"""

import base64
import json
import os
import select
import signal
import subprocess
import time
from pathlib import Path

PORT_NAME = 'lab'


def find_port(deadline_seconds=20):
    deadline = time.monotonic() + deadline_seconds
    while time.monotonic() < deadline:
        for entry in Path('/sys/class/virtio-ports').glob('*'):
            device = Path('/dev') / entry.name
            if (entry / 'name').read_text().strip() == PORT_NAME and device.exists():
                return str(device)
        time.sleep(0.02)
    raise SystemExit('no virtio port named ' + PORT_NAME)


class Agent:
    def __init__(self, fd):
        self.fd = fd
        self.pending = b''
        self.job = None

    def send(self, **message):
        data = json.dumps(message).encode() + b'\n'
        while data:
            try:
                data = data[os.write(self.fd, data):]
            except BlockingIOError:
                select.select([], [self.fd], [], 1)
            except OSError:
                return  # The host closed its end: nobody wants this line.

    def received(self):
        try:
            data = os.read(self.fd, 1 << 20)
        except BlockingIOError:
            return []
        if not data:
            # No host is connected; the port polls as readable then, so yield the processor for a moment.
            time.sleep(0.05)
            return []
        *lines, self.pending = (self.pending + data).split(b'\n')
        return [json.loads(line) for line in lines if line.strip()]

    def serve(self):
        self.send(ready=float(Path('/proc/uptime').read_text().split()[0]))
        while True:
            watched = [self.fd] + (self.job.streams() if self.job else [])
            readable, _, _ = select.select(watched, [], [], 0.2)
            if self.fd in readable:
                for message in self.received():
                    self.handle(message)
            if self.job and self.job.pump(readable, self.send):
                self.job = None

    def handle(self, message):
        if 'put' in message:
            with open(message['put'], 'ab' if message.get('append') else 'wb') as file:
                file.write(base64.b64decode(message['data']))
            return
        if self.job:
            self.job.kill()
            self.job = None
        if 'run' in message:
            self.job = Job(message)
        else:
            self.send(ready=float(Path('/proc/uptime').read_text().split()[0]))


class Job:
    """One running command."""

    def __init__(self, message):
        self.process = subprocess.Popen(
            message['run'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True, cwd='/', env=dict(os.environ, **message.get('env', {})))
        self.deadline = time.monotonic() + message.get('timeout', 3600)
        self.partial = {self.process.stdout: b'', self.process.stderr: b''}
        self.process.stdin.write(message.get('stdin', '').encode())
        self.process.stdin.close()

    def streams(self):
        return list(self.partial)

    def pump(self, readable, send):
        """Forward output; True when the command has ended. A child that keeps the pipe open does not count."""
        for stream in [stream for stream in readable if stream in self.partial]:
            data = os.read(stream.fileno(), 65536)
            if not data:
                del self.partial[stream]
                continue
            *lines, self.partial[stream] = (self.partial[stream] + data).split(b'\n')
            for line in lines:
                send(**{self._kind(stream): line.decode(errors='replace')})
        if time.monotonic() > self.deadline:
            self.kill()
            send(err='the command ran into its time limit and was killed')
        ended = self.process.poll() is not None
        if ended and not any(stream in readable for stream in self.partial):
            for stream, rest in self.partial.items():
                if rest:
                    send(**{self._kind(stream): rest.decode(errors='replace')})
            send(exit=self.process.returncode)
        return ended and not any(stream in readable for stream in self.partial)

    def _kind(self, stream):
        return 'out' if stream is self.process.stdout else 'err'

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


def main():
    fd = os.open(find_port(), os.O_RDWR | os.O_NONBLOCK)
    Agent(fd).serve()


if __name__ == '__main__':
    main()

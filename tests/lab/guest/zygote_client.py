"""What sudo runs as the privsep helper: asks the zygote of a package to fork one, and waits for its exit status.

Arguments: PACKAGE, then privsep-helper's own. Runs with `python3 -I -S`: nothing but the standard library.
"""

import json
import os
import socket
import sys


def socket_path(package):
    return f'/run/lab/zygote-{package}'


def request(package, message, descriptors):
    """Send one request; the open connection, on which the zygote answers with {"pid"} and then {"exit"}."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(socket_path(package))
    socket.send_fds(connection, [json.dumps(message).encode() + b'\n'], list(descriptors))
    return connection


def main():
    package, *arguments = sys.argv[1:]
    connection = request(package, {'kind': 'helper', 'arguments': arguments, 'directory': os.getcwd(),
                                   'environment': dict(os.environ)}, (0, 1, 2))
    for line in connection.makefile():
        answer = json.loads(line)
        if 'exit' in answer:
            return answer['exit']
    return 1


if __name__ == '__main__':
    sys.exit(main())

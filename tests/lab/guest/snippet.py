"""Runs a developer's ad-hoc Python with `lab`, `host` and `flow` at hand; leaves the host as it gets.

Reads {"source", "package", "mode"} from standard input; events and prints go to standard output as text.
"""

import json
import os
import sys

from guest import daemons, flow, host, multipath_conf
from guest.lab import Lab


def show(**event):
    print(' '.join(f'{name}={value}' for name, value in event.items() if value not in (None, '')), flush=True)


def main():
    spec = json.loads(sys.stdin.read())
    daemons.start('iscsid')
    if not daemons.pids('multipathd'):
        multipath_conf.apply(None)
    lab = Lab(dict(spec, variant=None), show)
    try:
        exec(compile(spec['source'], '<snippet>', 'exec'), {'lab': lab, 'host': host, 'flow': flow})
    finally:
        lab.close()
        sys.stdout.flush()
    os._exit(0)


if __name__ == '__main__':
    main()

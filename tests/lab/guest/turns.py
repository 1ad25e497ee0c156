"""What the benchmarks have in common: upstream, ours and the floor take turns, and each does the same.

A number is named `OPERATION|WHO`; `lab/medians.py` makes the tables. What must not live here: what one transport needs.
"""

import threading
import time


def at_once(work, items):
    threads = [threading.Thread(target=work, args=(item,)) for item in items]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def attach_and_detach(lab, who, operation, connectors, properties, rest, after=None):
    """Every connector attaches at once, then every one detaches at once; `rest` until nothing of it goes on."""
    pairs = list(zip(connectors, properties, strict=True))
    started = time.monotonic()
    pending = [made.start('connect_volume', dict(each)) for made, each in pairs]
    answers = [call.wait(900) for call in pending]
    taken(lab, f'{operation} connect|{who}', started, answers)
    rest()
    started = time.monotonic()
    pending = [made.start('disconnect_volume', dict(each), answer.value)
               for (made, each), answer in zip(pairs, answers, strict=True)]
    ended = [call.wait(900) for call in pending]
    taken(lab, f'{operation} disconnect|{who}', started, ended)
    (after or rest)()


def taken(lab, name, started, answers):
    """One call has its own time; several have the time until the last one was back."""
    lab.measured(name, answers[0].seconds if len(answers) == 1 else time.monotonic() - started)

"""A dead portal that comes back after the detach: no session, record or device appears for the volume that is gone.

Four volumes at once, one for each way to be dead and each time of coming back (5 s and 40 s after the detach).
"""

import time

LEDGER = ('IC-27', 'IC-28')
MODES = ('nova',)
SECONDS = 150
TIMEOUT = 1200
UPSTREAM_FAILS = 'waits for the dead portals at every attach'
WATCHED_SECONDS = 30


def run(lab):
    cases = []
    for number, (how, delay) in enumerate([('refused', 40), ('black_hole', 40), ('refused', 5), ('black_hole', 5)]):
        target = lab.targets.create(portals=[f'127.0.1.{2 * number + 1}', f'127.0.1.{2 * number + 2}'])
        cases.append({'target': target, 'how': how, 'delay': delay, 'dead': target.portals[1]})
    connector = lab.caller().connector('ISCSI', use_multipath=True)
    for case in cases:
        (case['target'].close_portal if case['how'] == 'refused' else case['target'].black_hole)(case['dead'])
        case['info'] = lab.attach(connector, case['target'].properties(1), f"connect, one portal {case['how']}")
    for case in cases:
        lab.detach(connector, case['target'].properties(1), case['info'], f"disconnect, one portal {case['how']}")
        case['detached'] = time.monotonic()
    for case in sorted(cases, key=lambda case: case['detached'] + case['delay']):
        time.sleep(max(0, case['detached'] + case['delay'] - time.monotonic()))
        if case['how'] == 'refused':
            case['target'].open_portal(case['dead'])
        else:
            case['target'].restore(case['dead'])
        lab.note(f"{case['dead']} ({case['how']}) is back {time.monotonic() - case['detached']:.0f} s after the detach")
    lab.never(f'nothing appears in {WATCHED_SECONDS} s after the last portal came back',
              lambda: lab.host.sessions() or lab.host.scsi_devices() or lab.host.node_records(), WATCHED_SECONDS,
              lambda: f'{lab.host.sessions()} {lab.host.scsi_devices()} {lab.host.node_records()}')

"""Connection properties that cannot be right raise a clear exception before the host is touched."""

from guest import leftovers

LEDGER = ('LU-04', 'IC-34')
MODES = ('root',)
SECONDS = 30
UPSTREAM_FAILS = 'hands most of it to iscsiadm'
DELETED = object()

GOOD = {'target_portal': '127.0.1.1:3260', 'target_iqn': 'iqn.2010-10.org.openstack:lab-bad', 'target_lun': 1,
        'target_portals': ['127.0.1.1:3260', '127.0.1.2:3260'],
        'target_iqns': ['iqn.2010-10.org.openstack:lab-bad'] * 2, 'target_luns': [1, 1]}
SINGULAR = {'target_portals': DELETED, 'target_iqns': DELETED, 'target_luns': DELETED}
BAD = {
    'empty properties': {name: DELETED for name in GOOD},
    'no iqn': dict(SINGULAR, target_iqn=DELETED),
    'no portal': dict(SINGULAR, target_portal=DELETED),
    'portal None': dict(SINGULAR, target_portal=None),
    'iqn empty': dict(SINGULAR, target_iqn=''),
    'lists of different lengths': {'target_luns': [1]},
    'fewer portals than iqns': {'target_portals': ['127.0.1.1:3260']},
    'LUN is no number': dict(SINGULAR, target_lun='one'),
    'LUN is negative': dict(SINGULAR, target_lun=-1),
    'LUN None': dict(SINGULAR, target_lun=None),
    'iqn with a space': dict(SINGULAR, target_iqn='iqn.2010-10.org.openstack:a b'),
    'iqn with slashes': dict(SINGULAR, target_iqn='iqn.2010-10.org.openstack:../../../etc/x'),
    'iqn with a shell character': dict(SINGULAR, target_iqn='iqn.2010-10.org.openstack:x;reboot'),
    'iqn that is an option': dict(SINGULAR, target_iqn='--logoutall=all'),
    'iqn with a newline': dict(SINGULAR, target_iqn='iqn.2010-10.org.openstack:x\nnode.startup = automatic'),
    'portal with a space': dict(SINGULAR, target_portal='127.0.1.1:3260 -u'),
    'portal with a shell character': dict(SINGULAR, target_portal='127.0.1.1$(reboot):3260'),
    'portal with slashes': dict(SINGULAR, target_portal='127.0.1.1/../x:3260'),
    'port is no number': dict(SINGULAR, target_portal='127.0.1.1:iscsi'),
    'port out of range': dict(SINGULAR, target_portal='127.0.1.1:70000'),
    'unknown addressing mode': {'addressing_mode': 'SAM-9'},
}


def run(lab):
    caller = lab.caller()
    for multipath in (True, False):
        connector = caller.connector('ISCSI', use_multipath=multipath)
        for name, change in BAD.items():
            properties = {key: value for key, value in {**GOOD, **change}.items() if value is not DELETED}
            kind = 'multipath' if multipath else 'single path'
            before = leftovers.snapshot()
            error = lab.raises(f'{name} ({kind}): connect raises', connector.start('connect_volume', properties),
                               'BrickException', 'ValueError', 'KeyError')
            if error:
                if lab.ours:
                    lab.check(f'{name} ({kind}): the message names the field', names_field(error.message, change), error)
                lab.check(f'{name} ({kind}): no iscsiadm was run',
                          not any('iscsiadm -m' in line for line in error.logs), error.logs[-5:])
            lab.equal(f'{name} ({kind}): the host was not touched',
                      leftovers.difference(before, leftovers.snapshot()), {})


def names_field(message, change):
    """One of the properties that were changed: by its name, or as what is counted (`1 portals but 2 names`)."""
    return any(key.rstrip('s') in message or key.partition('_')[2] in message for key in change)

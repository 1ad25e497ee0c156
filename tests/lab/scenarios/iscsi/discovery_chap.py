"""Discovery with CHAP, and without losing the node.startup of another target's record.

A wrong discovery secret raises; the operator's own record keeps `automatic` through discovery, attach and detach.
"""

from guest import command

LEDGER = ('IC-04', 'IC-15', 'IC-16', 'X-05')
MODES = ('nova',)
SECONDS = 40
UPSTREAM_FAILS = 'logs in to every target that sendtargets reports'
UPSTREAM_LEAVES = 'records of discovery'


def run(lab):
    operators = lab.targets.create(portals=1)
    target = lab.targets.create(portals=2)
    disk, portal = target.luns[1], operators.portals[0]
    command.run('iscsiadm', '-m', 'node', '-T', operators.iqn, '-p', portal, '-o', 'new')
    command.run('iscsiadm', '-m', 'node', '-T', operators.iqn, '-p', portal, '-o', 'update', '-n', 'node.startup',
                '-v', 'automatic')
    lab.targets.set_discovery_chap('disco-user', 'disco-secret-77')
    properties = target.properties(1, plural=False, discovery_auth_method='CHAP',
                                   discovery_auth_username='disco-user', discovery_auth_password='disco-secret-77')
    connector = lab.caller().connector('ISCSI', use_multipath=True)

    info = lab.attach(connector, properties)
    lab.check_right_disk('attached', info['path'], disk)
    lab.equal('both portals were discovered', lab.host.session_portals(target.iqn), sorted(target.portals))
    lab.equal("the operator's record after the attach", startup(operators), 'automatic')
    lab.detach(connector, properties, info)
    lab.equal("the operator's record after the detach", startup(operators), 'automatic')

    wrong = dict(properties, discovery_auth_password='not-the-secret-9')
    error = lab.raises('a wrong discovery secret raises', connector.start('connect_volume', wrong), 'BrickException',
                       'ProcessExecutionError')
    if error:
        lab.check('the secret is in no log line', not any('not-the-secret-9' in line for line in error.logs))
    lab.equal('no session after the refused discovery', lab.host.sessions(), {})
    lab.equal("the operator's record in the end", startup(operators), 'automatic')
    command.run('iscsiadm', '-m', 'node', '-T', operators.iqn, '-p', portal, '-o', 'delete')
    lab.targets.clear_discovery_chap()


def startup(target):
    """node.startup of the target's record, as open-iscsi tells it."""
    text = command.run('iscsiadm', '-m', 'node', '-T', target.iqn, '-p', target.portals[0], check=False)
    return next((line.split(' = ')[1] for line in text.splitlines() if line.startswith('node.startup')), None)

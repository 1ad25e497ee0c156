"""`[privsep_osbrick] helper_command` alone starts both contexts, with no rootwrap; their daemons end with the service.

Everything is started from scratch, by the command an operator would write.
"""

from pathlib import Path

LEDGER = ()
MODES = ('nova',)
SECONDS = 60
TIMEOUT = 900
UPSTREAM_LEAVES = 'the line in the wwids file'
ACCOUNT = Path('/etc/lab-scaleio.conf')
CONTEXTS = ['os_brick.privileged.brick_privsep_hide_output', 'os_brick.privileged.default']


def run(lab):
    target = lab.targets.create()
    disk, properties = target.luns[1], target.properties(1, plural=False)
    caller = lab.caller(cold=True)
    connector = caller.connector('ISCSI')
    info = lab.attach(connector, properties)
    lab.check_right_disk('attached', info['path'], disk)
    try:
        account(lab, caller)
    finally:
        ACCOUNT.unlink(missing_ok=True)
    lab.detach(connector, properties, info)
    lab.equal('no session', lab.host.sessions(), {})
    lab.equal('a daemon for each context, by the command of the configuration', sorted(daemons(lab, caller).values()), CONTEXTS)

    daemons_before = daemons(lab, caller)
    caller.kill()
    lab.eventually('the daemons end with their service',
                   lambda: not any(Path(f'/proc/{pid}').exists() for pid in daemons_before), 30)


def account(lab, caller):
    """The account of a PowerFlex gateway is read in the context whose log is kept back."""
    ACCOUNT.write_text('[powerflex]\nsan_login = admin\nsan_username = admin\nsan_password = Gateway-S3cret\n')
    ACCOUNT.chmod(0o600)
    answer = caller.call('os_brick.privileged.scaleio:get_connector_username_password', str(ACCOUNT), 'powerflex', False)
    lab.equal('the account', list(answer.value), ['admin', 'Gateway-S3cret'])
    lab.check('no password in the log', 'Gateway-S3cret' not in caller.log_text())


def daemons(lab, caller):
    """{process: its context} of those that this service's command has started."""
    found = {}
    for pid in caller.helper_pids():
        words = Path(f'/proc/{pid}/cmdline').read_text().split('\0')
        lab.check('it is the command of the configuration', words[1:4] == [
            f'/opt/lab/bin/privsep-helper-{lab.package}', '--config-file', str(caller.config_file)], words)
        found[pid] = words[words.index('--privsep_context') + 1]
    return found

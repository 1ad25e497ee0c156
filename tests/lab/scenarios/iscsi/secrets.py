"""CHAP secrets: in no process's arguments, in no log, in no readable file, in no exception.

Every execve of the service and its privileged daemon is seen by strace; logging is at DEBUG everywhere.
"""

from pathlib import Path
import re

from guest import daemons

LEDGER = ('X-18', 'SE-01', 'SE-02', 'SE-03', 'SE-04', 'SE-05', 'SE-06', 'SE-07')
VARIANTS = ('single', 'multipath', 'discovery')
MODES = ('nova',)
SECONDS = 60
TIMEOUT = 500
UPSTREAM_FAILS = 'passes the CHAP password to iscsiadm as an argument'
SECRETS = ('chap-S3cret-word', 'disco-S3cret-word')


def run(lab):
    target = lab.targets.create(portals=2, chap=('chap-user', SECRETS[0]))
    disk = target.luns[1]
    properties = target.properties(1, plural=lab.variant == 'multipath')
    if lab.variant == 'discovery':
        lab.targets.set_discovery_chap('disco-user', SECRETS[1])
        properties.update(discovery_auth_method='CHAP', discovery_auth_username='disco-user',
                          discovery_auth_password=SECRETS[1])
    sizes = daemons.log_sizes()
    caller = lab.caller(trace_execs=True)
    connector = caller.connector('ISCSI', use_multipath=lab.variant != 'single')
    info = lab.attach(connector, properties)
    lab.check_right_disk('attached', info['path'], disk)
    lab.equal('no record is readable by others', readable_records(), [])
    connector.extend_volume(properties)
    connector.get_volume_paths(properties)
    lab.detach(connector, properties, info)
    wrong = connector.start('connect_volume', dict(properties, auth_password=SECRETS[0][::-1])).error()

    lab.check('strace saw the commands', lines_with('iscsiadm', caller.executed_commands()), caller.executed_commands())
    for secret in (*SECRETS, SECRETS[0][::-1]):
        lab.equal(f'{secret[:5]}... in no argument list', lines_with(secret, caller.executed_commands()), [])
        lab.equal(f"{secret[:5]}... not in the service's log", lines_with(secret, caller.log_text().splitlines()), [])
        for name, text in daemons.logs_since(sizes).items():
            lab.equal(f'{secret[:5]}... not in {name}', lines_with(secret, text.splitlines()), [])
        if wrong:
            lab.check(f'{secret[:5]}... not in the exception',
                      secret not in wrong.message + wrong.repr + str(wrong.attributes) + wrong.traceback)
    if lab.variant == 'discovery':
        lab.targets.clear_discovery_chap()


def readable_records():
    return [str(path) for path in Path('/etc/iscsi/nodes').rglob('*') if path.is_file() and path.stat().st_mode & 0o077]


def lines_with(secret, lines):
    """The lines that show it, with the secret itself cut out: the report must not show it either."""
    return [re.sub(re.escape(secret), '<SECRET>', line)[:300] for line in lines if secret in line]

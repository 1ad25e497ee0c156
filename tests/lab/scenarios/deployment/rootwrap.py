"""Both privileged daemons through rootwrap, as `sudo nova-rootwrap` starts them for the user nova.

`shipped` allows what os-brick's own filter file does, `nova` what Nova's does, which names one context of os_brick. The
other one passes all the same: oslo.rootwrap allows privsep-helper by itself, and nothing else.
"""

from pathlib import Path
import shutil

LEDGER = ()
IMAGE = 'consumers'
VARIANTS = ('shipped', 'nova')
MODES = ('nova',)
SECONDS = 90
TIMEOUT = 600
UPSTREAM_LEAVES = 'the line in the wwids file'
ROOT_HELPER = 'sudo nova-rootwrap /etc/nova/rootwrap.conf'
FILTERS = Path('/etc/nova/rootwrap.d')
ASIDE = Path('/run/lab/rootwrap.d-of-nova')
ACCOUNT = Path('/etc/lab-scaleio.conf')


def run(lab):
    if lab.variant == 'shipped':
        shutil.move(FILTERS, ASIDE)
        FILTERS.mkdir()
        shutil.copy(shipped_filters(lab), FILTERS)
    try:
        caller = lab.caller(root_helper=ROOT_HELPER)
        attach(lab, caller)
        hidden_context(lab, caller)
        lab.raises('nothing else is allowed', caller.run_source(OTHER), 'ProcessExecutionError')
    finally:
        ACCOUNT.unlink(missing_ok=True)
        if ASIDE.exists():
            shutil.rmtree(FILTERS)
            shutil.move(ASIDE, FILTERS)


# What rootwrap is for: the very same sudo rule runs no other program.
OTHER = f'''
from oslo_concurrency import processutils
result = processutils.execute('id', run_as_root=True, root_helper='{ROOT_HELPER}')
'''


def shipped_filters(lab):
    """The file of the wheel; upstream's has the same name and place."""
    return next(Path('/opt/lab', lab.package).rglob('os-brick.filters'))


def attach(lab, caller):
    target = lab.targets.create(portals=2)
    disk, properties = target.luns[1], target.properties(1)
    status = lab.host.read(f'/proc/{caller.helper_pids()[0]}/status').splitlines()
    lab.equal('the daemon has SYS_ADMIN and DAC_READ_SEARCH alone',
              [int(line.split()[1], 16) for line in status if line.startswith('CapEff')], [1 << 21 | 1 << 2])
    connector = caller.connector('ISCSI', use_multipath=True)
    info = lab.attach(connector, properties)
    lab.check_right_disk('attached', info['path'], disk)
    lab.detach(connector, properties, info)
    lab.equal('no session', lab.host.sessions(), {})


def hidden_context(lab, caller):
    """The account of a PowerFlex gateway is read in the context whose log is kept back."""
    ACCOUNT.write_text('[powerflex]\nsan_login = admin\nsan_username = admin\nsan_password = Gateway-S3cret\n')
    ACCOUNT.chmod(0o600)
    answer = caller.call('os_brick.privileged.scaleio:get_connector_username_password', str(ACCOUNT), 'powerflex', False)
    lab.equal('the account', list(answer.value), ['admin', 'Gateway-S3cret'])
    lab.equal('two daemons', len(caller.helper_pids()), 2)
    lab.check('no password in the log', 'Gateway-S3cret' not in caller.log_text())

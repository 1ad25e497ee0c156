"""Each step of `cinder local-attach` fails in turn, loses its answer or is interrupted: all is as before, and it can be repeated."""

from guest import cinder_proxy
from guest.cinder import PORTALS, Cinder
from guest.cinder_client import Command
from guest.cinder_proxy import INTERRUPT, LOSE, PROXY_PORT, REFUSE

LEDGER = ()
IMAGE = 'cinder'
PACKAGES = ('ours',)
VARIANTS = ('attachments', 'legacy')
MODES = ('root',)
SECONDS = 600
TIMEOUT = 3600
VERSIONS = {'attachments': '3.60', 'legacy': '3.43'}
ATTACH = {'attachments': ('POST attachments', 'PUT attachments', 'POST attachments os-complete'),
          'legacy': ('POST volumes os-reserve', 'POST volumes os-initialize_connection', 'POST volumes os-attach')}
DETACH = {'attachments': ('DELETE attachments',),
          'legacy': ('POST volumes os-begin_detaching', 'POST volumes os-terminate_connection', 'POST volumes os-detach')}


def run(lab):
    cinder = Cinder(lab.package, lab.note)
    proxy = cinder_proxy.Proxy()
    volume = cinder.api.create('disk', 'lvm1')
    try:
        for step in ATTACH[lab.variant]:
            for what in (REFUSE, LOSE, INTERRUPT):
                fail_at_cinder(lab, cinder, proxy, volume, step, what)
        interrupted_while_connecting(lab, cinder, volume)
        no_portal_answers(lab, cinder, volume)
        detach_fails(lab, cinder, proxy, volume)
    finally:
        proxy.close()
        cinder.end(volume)


def start(lab, word, volume, port=PROXY_PORT):
    return Command(word, volume, '--nic', 'lo', '--multipath', 'True', version=VERSIONS[lab.variant], port=port)


def fail_at_cinder(lab, cinder, proxy, volume, step, what):
    name = f'{step}, {what}'
    running = []
    proxy.arm(step, what, lambda: running[0].interrupt())
    running.append(start(lab, 'local-attach', volume))
    ended = running[0].wait()
    lab.check(f'{name}: met', proxy.spent.is_set(), proxy.steps)
    lab.check(f'{name}: the command fails', ended.status != 0, ended)
    as_before(lab, cinder, volume, name, ended)


def as_before(lab, cinder, volume, name, ended):
    found = (cinder.api.status(volume), cinder.api.attachments(volume))
    lab.check(f'{name}: available, no attachment', found == ('available', []), f'{found} {ended}')
    left = (lab.host.sessions(), lab.host.scsi_devices(), lab.host.dm_devices(), lab.host.node_records())
    lab.check(f'{name}: the host is clean', left == ({}, {}, {}, []), f'{left} {ended}')


def interrupted_while_connecting(lab, cinder, volume):
    """Ctrl-C when the first session is there: the connector is at work."""
    running = start(lab, 'local-attach', volume)
    lab.eventually('a session appears', lab.host.sessions, 600)
    running.interrupt()
    ended = running.wait()
    lab.check('interrupted while connecting: the command fails', ended.status != 0, ended)
    as_before(lab, cinder, volume, 'interrupted while connecting', ended)


def no_portal_answers(lab, cinder, volume):
    for address in PORTALS:
        lab.targets.firewall.refuse(f'{address}:3260')
    ended = start(lab, 'local-attach', volume).wait()
    lab.targets.firewall.restore()
    lab.check('no portal answers: the command fails', ended.status != 0, ended)
    as_before(lab, cinder, volume, 'no portal answers', ended)


def detach_fails(lab, cinder, proxy, volume):
    """A detach can be repeated, whichever step of it failed."""
    for step in DETACH[lab.variant]:
        attached = start(lab, 'local-attach', volume).wait()
        lab.require(f'{step}: attached before', attached.status == 0, attached)
        proxy.arm(step, REFUSE)
        ended = start(lab, 'local-detach', volume).wait()
        lab.check(f'{step}: local-detach fails', ended.status != 0 and proxy.spent.is_set(), f'{ended} {proxy.steps}')
        ended = start(lab, 'local-detach', volume).wait()
        lab.check(f'{step}: repeated', ended.status == 0, ended)
        as_before(lab, cinder, volume, f'{step} of a detach', ended)

"""Each kind of leftover made for real, found with its evidence, and mended by the commands the finding names."""

from guest import command, host, orphaned, poll

LEDGER = ('SE-08',)
VARIANTS = ('reused_lun', 'mixed_identities', 'map_without_paths', 'path_outside_map', 'luks_over_nothing',
            'dangling_link', 'session_without_disks', 'record_without_session', 'controller_without_namespaces',
            'host_name_in_doubt')
PACKAGES = ('ours',)
SECONDS = 40


def MULTIPATH(variant):
    # Else multipathd claims the single disk, and cryptsetup wants it for itself.
    return {'find_multipaths': 'yes'} if variant == 'luks_over_nothing' else None


def run(lab):
    caller = lab.caller()

    def look():
        return caller.call('os_brick.privileged.inventory:find_orphans').value

    lab.equal('nothing is found on a clean host', list(look()['findings']), [])
    subject, release = getattr(orphaned, lab.variant)(lab, caller)
    found = look()
    lab.equal('every disk that is up was asked', found['live'], True)
    findings = [finding for finding in found['findings'] if finding['kind'] == lab.variant]
    lab.require('it is found', len(findings) == 1, found)
    finding = findings[0]
    lab.show(finding)
    if subject:
        lab.equal('what it is about', finding['subject'], subject)
    lab.check('what was seen is told', finding['evidence'] and finding['risk'], finding)
    release()
    # A new name for the host is not for the guest, where no service manager runs: its file just went back.
    for line in [] if lab.variant == 'host_name_in_doubt' else finding['commands']:
        command.run('sh', '-c', line)
    lab.eventually('the commands mend it',
                   lambda: all(finding['kind'] != lab.variant for finding in look()['findings']), 20,
                   lambda: look()['findings'])
    mend_the_rest(lab, look)


def mend_the_rest(lab, look):
    """What the commands bring back, such as the disk a LUN really maps, goes like any other device."""
    for session in command.run('iscsiadm', '-m', 'session', check=False).splitlines():
        iqn, portal = session.split()[3], session.split()[2].partition(',')[0]
        command.run('iscsiadm', '-m', 'node', '-T', iqn, '-p', portal, '--logout', check=False)
        command.run('iscsiadm', '-m', 'node', '-T', iqn, '-p', portal, '--op', 'delete', check=False)
    poll.until(no_map, 60, 'the maps can go')
    # `multipath -f` leaves the identity among those multipathd knows.
    for wwid in host.wwids():
        command.run('multipath', '-w', wwid, check=False)
    lab.eventually('nothing is left to find', lambda: not look()['findings'], 20, lambda: look()['findings'])


def no_map():
    names = [device['name'] for device in host.dm_devices().values()]
    for name in names:
        # Else udev, at work on a map without paths, waits in it for ever.
        command.run('multipathd', 'disablequeueing', 'map', name, check=False)
        command.run('multipath', '-f', name, check=False)
    return not names

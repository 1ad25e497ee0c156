"""Times of upstream, of ours and of the floor over iSCSI, in one boot, turn by turn."""

MODES = ('root',)
PACKAGES = ('ours',)
VARIANTS = ('single', 'multipath', 'eight', 'dead', 'neighbour')
BENCH = True
SECONDS = 900
TIMEOUT = 3600

import time

from guest import clean, command, floor, turns

ROUNDS = 5
GRACE = 2
# For so long after an attach its dead portals are asked again (decision 0007).
ASKED = 120


def run(lab):
    {'single': single, 'multipath': multipath, 'eight': eight, 'dead': dead,
     'neighbour': neighbour}[lab.variant](lab)
    clean.forget_maps()


def connectors(lab, use_multipath, **conf):
    found = {}
    for package in ('ours', 'upstream'):
        caller = lab.caller(package=package, log_level='INFO', conf=conf if package == 'ours' else {})
        found[package] = (caller, lambda caller=caller: caller.connector('ISCSI', use_multipath=use_multipath))
    return found


def calm(lab):
    """udev has nothing left to do: a volume is detached long after its attach, when all its paths are up."""
    for _ in range(2):
        command.run('udevadm', 'settle', '--timeout=120', check=False, seconds=150)
        time.sleep(1)


def attach_and_detach(lab, who, operation, connector, properties):
    turns.attach_and_detach(lab, who, operation, [connector() for _each in properties], properties, lambda: calm(lab))


def floor_rounds(lab, operation, target, luns, use_multipath, portals):
    least = floor.Floor(target.iqn, portals)
    started = time.monotonic()
    least.log_in()
    disks = {}

    def one(lun):
        disks[lun] = least.scan(lun)
        if use_multipath:
            least.wait_for_map(disks[lun])
    turns.at_once(one, luns)
    lab.measured(f'{operation} connect|floor', time.monotonic() - started)
    calm(lab)
    started = time.monotonic()
    turns.at_once(lambda lun: least.remove(disks[lun], use_multipath), luns)
    least.log_out()
    lab.measured(f'{operation} disconnect|floor', time.monotonic() - started)
    calm(lab)


def compare(lab, operation, count, use_multipath, portals):
    target = lab.targets.create(portals=portals, luns={lun: None for lun in range(1, count + 1)})
    properties = [target.properties(lun) for lun in sorted(target.luns)]
    actors = connectors(lab, use_multipath)
    for _round in range(ROUNDS):
        floor_rounds(lab, operation, target, sorted(target.luns), use_multipath, target.portals)
        for package, (_caller, connector) in actors.items():
            attach_and_detach(lab, package, operation, connector, properties)


def single(lab):
    compare(lab, 'single path', 1, False, 1)


def multipath(lab):
    compare(lab, '4 portals', 1, True, 4)


def eight(lab):
    compare(lab, '8 volumes x 4 portals', 8, True, 4)


def dead(lab):
    """One of four portals dead, and another target's attach meanwhile."""
    properties, neighbour, target = two_targets(lab)
    for _round in range(ROUNDS):
        for package in ('ours', 'upstream'):
            # A new process each time: what it remembers of dead portals is part of what is measured.
            caller = lab.caller(package=package, log_level='INFO', conf={'portal_grace_period': GRACE} if package == 'ours' else {})
            make = lambda caller=caller: caller.connector('ISCSI', use_multipath=True)
            attach_and_detach(lab, package, 'healthy, 4 portals', make, [properties])
            attach_and_detach(lab, package, 'neighbour alone', make, [neighbour])
            target.black_hole(target.portals[2])
            beside(lab, package, make, (properties, neighbour), ('1 of 4 portals dead, first time', 'neighbour during that'))
            if package == 'ours':
                attach_and_detach(lab, package, '1 of 4 portals dead, again', make, [properties])
            target.restore(target.portals[2])
            caller.close()


def neighbour(lab):
    """What delays an attach beside another one: the dead portal, or the processors they share."""
    properties, other, target = two_targets(lab)
    for _round in range(ROUNDS):
        caller = lab.caller(log_level='INFO', conf={'portal_grace_period': GRACE})
        make = lambda caller=caller: caller.connector('ISCSI', use_multipath=True)
        attach_and_detach(lab, 'ours', 'neighbour alone', make, [other])
        beside(lab, 'ours', make, (properties, other), ('healthy, 4 portals', 'neighbour begun with it'))
        target.black_hole(target.portals[2])
        beside(lab, 'ours', make, (properties, other), ('1 of 4 portals dead', 'neighbour begun with that'))
        later(lab, make, properties, other)
        caller.close()
        target.restore(target.portals[2])


def later(lab, make, properties, other):
    """The neighbour begins when the attach has returned and its disks are done; the dead portal is still asked for."""
    began = time.monotonic()
    attached = make().connect_volume(properties)
    calm(lab)
    answer = make().connect_volume(other)
    lab.measured('neighbour begun after it, the portal still dead connect|ours', answer.seconds)
    lab.check('the portal was still asked', time.monotonic() - began < ASKED, 'it was given up before the neighbour began')
    calm(lab)
    make().disconnect_volume(other, answer.value)
    make().disconnect_volume(properties, attached.value)
    calm(lab)


def two_targets(lab):
    target, other = lab.targets.create(portals=4), lab.targets.create(portals=['127.0.1.6', '127.0.1.7'])
    return target.properties(1), other.properties(1), target


def beside(lab, package, make, properties, operations):
    """Two attaches begin at the same moment."""
    pending = [make().start('connect_volume', each) for each in properties]
    answers = [call.wait(900) for call in pending]
    for operation, answer in zip(operations, answers):
        lab.measured(f'{operation} connect|{package}', answer.seconds)
    calm(lab)
    for each, answer in zip(properties, answers):
        make().disconnect_volume(each, answer.value)
    calm(lab)

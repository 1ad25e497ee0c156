# SPDX-License-Identifier: Apache-2.0
"""What the same tests did on two sides: which of them are worse on ours, and the numbers of the rest."""

import dataclasses
import json

#: From good to bad; a test that ends further down on our side is a regression.
ORDER = ('passed', 'skipped', 'failed', 'vanished')


@dataclasses.dataclass(frozen=True)
class Outcome:
    status: str
    reason: str = ''


VANISHED = Outcome('vanished', 'not there')


@dataclasses.dataclass(frozen=True)
class Regression:
    test: str
    upstream: Outcome
    ours: Outcome

    def __str__(self):
        return f'{self.test}\n      {self.upstream.status} on upstream, {self.ours.status} here: {self.ours.reason}'


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The verdict about one consumer."""
    total: int
    #: On both sides.
    passed: int
    #: On ours; `better` on ours than upstream.
    skipped: int
    failed: int
    better: int
    regressions: list
    at_least: int

    @property
    def faults(self):
        """Why the comparison fails, in words; empty when it does not."""
        found = [str(regression) for regression in self.regressions]
        if self.passed < self.at_least:
            found.append(f'only {self.passed} tests pass on both sides, {self.at_least} are expected')
        return found


def read(paths):
    """The outcomes that worker.py wrote and the directories os_brick was imported from.

    A test that is there twice (in its own module and in one that imports its class) counts with its worse outcome.
    """
    outcomes, places = {}, set()
    for path in paths:
        for line in path.read_text().splitlines():
            entry = json.loads(line)
            if 'os_brick' in entry:
                places.add(entry['os_brick'])
                continue
            outcome = Outcome(entry['status'], entry['reason'])
            known = outcomes.get(entry['id'])
            if known is None or worse(outcome, known):
                outcomes[entry['id']] = outcome
    return outcomes, places


def worse(one, other):
    return ORDER.index(one.status) > ORDER.index(other.status)


def regressions(upstream, ours):
    """Tests that do worse on ours, in order of their names.

    A module that only upstream's side can import is there under its own name, instead of all its tests.
    """
    found, unimportable = [], ()
    for test in sorted(upstream.keys() | ours.keys()):
        there, here = upstream.get(test), ours.get(test, VANISHED)
        if there is None:
            if here.status == 'failed':
                found.append(Regression(test, VANISHED, here))
                unimportable += (f'{test}.',)
        elif worse(here, there) and not (here is VANISHED and test.startswith(unimportable)):
            found.append(Regression(test, there, here))
    return found


def compare(upstream, ours, at_least=1):
    """The verdict from two dictionaries of test ID and Outcome."""
    bad = regressions(upstream, ours)
    rest = ours.keys() - {regression.test for regression in bad}
    here = [ours[test].status for test in rest]
    better = sum(test not in upstream or worse(upstream[test], ours[test]) for test in rest)
    return Comparison(passed=sum(ours[test].status == upstream.get(test, VANISHED).status == 'passed' for test in rest),
                      skipped=here.count('skipped'), failed=here.count('failed'), better=better, total=len(ours | upstream),
                      regressions=bad, at_least=at_least)

"""Finds scenarios and reads what they declare, without importing them: they import the guest's modules.

A scenario may declare, as plain literals at module level: MODES, PACKAGES, VARIANTS, LEDGER, SECONDS (estimate),
TIMEOUT, UPSTREAM_FAILS and UPSTREAM_LEAVES (why upstream is expected to, so that it is only reported), MACHINES (two
hosts on one network), IMAGE (a flavour of the image) and BENCH (no test); cases with one of the last two run only when
their folder is named.
"""

import ast
import dataclasses
import fnmatch
from pathlib import Path

SCENARIOS = Path(__file__).resolve().parent / 'scenarios'
DEFAULTS = {'MODES': ('root', 'nova'), 'PACKAGES': ('ours', 'upstream'), 'VARIANTS': (None,), 'LEDGER': (),
            'SECONDS': 30, 'TIMEOUT': 300, 'UPSTREAM_FAILS': None, 'UPSTREAM_LEAVES': None,
            'MACHINES': 1, 'IMAGE': None, 'BENCH': False}


@dataclasses.dataclass(frozen=True)
class Case:
    """One scenario, in one mode, with one package, in one of its variants."""

    scenario: str
    mode: str
    package: str
    variant: str
    declared: dict = dataclasses.field(compare=False)

    @property
    def name(self):
        variant = f':{self.variant}' if self.variant else ''
        return f'{self.scenario}{variant}[{self.mode},{self.package}]'

    @property
    def spec(self):
        return {'scenario': self.scenario, 'mode': self.mode, 'package': self.package, 'variant': self.variant,
                'machines': self.declared['MACHINES']}


def declarations(path):
    found = dict(DEFAULTS)
    tree = ast.parse(path.read_text(), str(path))
    found['doc'] = (ast.get_docstring(tree) or '').strip()
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            name = statement.targets[0].id
            if name in DEFAULTS:
                found[name] = ast.literal_eval(statement.value)
    return found


def scenario_names():
    return sorted(str(path.relative_to(SCENARIOS).with_suffix('')) for path in SCENARIOS.glob('*/*.py')
                  if not path.name.startswith('_'))


def cases(patterns=(), modes=None, packages=None):
    """Every case whose scenario (or scenario:variant) matches a pattern; a bare word matches any transport's."""
    found = []
    for scenario in scenario_names():
        declared = declarations(SCENARIOS / f'{scenario}.py')
        if (declared['BENCH'] or declared['IMAGE']) and not any(pattern.startswith(scenario.split('/')[0] + '/') for pattern in patterns):
            continue
        for variant in declared['VARIANTS']:
            if patterns and not any(_matches(scenario, variant, pattern) for pattern in patterns):
                continue
            found += [Case(scenario, mode, package, variant, declared)
                      for package in declared['PACKAGES'] if not packages or package in packages
                      for mode in declared['MODES'] if not modes or mode in modes]
    return found


def _matches(scenario, variant, pattern):
    pattern = pattern.removesuffix('.py')
    wanted_scenario, _, wanted_variant = pattern.partition(':')
    wanted_scenario = wanted_scenario.rpartition('scenarios/')[2]
    if '/' not in wanted_scenario:
        scenario = scenario.rpartition('/')[2]
    return fnmatch.fnmatch(scenario, wanted_scenario) and (
        not wanted_variant or fnmatch.fnmatch(variant or '', wanted_variant))

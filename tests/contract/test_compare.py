# SPDX-License-Identifier: Apache-2.0
"""The comparison sees what would break a caller and lets pass what would not."""

import pytest

import compare
import describe


def problem(old, new):
    return compare.call_problem(describe.parameters(old), describe.parameters(new))


@pytest.mark.parametrize('old, new, expected', [
    (lambda a, b=1: 0, lambda a, b=1: 0, None),
    (lambda a: 0, lambda a, b=None: 0, None),
    (lambda a, b: 0, lambda a, *args: 0, None),
    (lambda a, b: 0, lambda a: 0, "the parameter 'b' is gone"),
    (lambda a: 0, lambda b: 0, "parameter 0 is 'b', was 'a'"),
    (lambda a=1: 0, lambda a: 0, "'a' became required"),
    (lambda a=1: 0, lambda a=2: 0, "the default of 'a' is 2, was 1"),
    (lambda a: 0, lambda a, b: 0, "the new parameter 'b' is required"),
    (lambda *, a=1: 0, lambda: 0, "the keyword 'a' is gone"),
    (lambda **kwargs: 0, lambda: 0, 'further arguments (kwargs) are no longer taken'),
])
def test_calls(old, new, expected):
    assert problem(old, new) == expected


class Old(ValueError):
    LIMIT = 3

    def work(self, path):
        """Nothing."""


class New(Exception):
    LIMIT = 4

    @staticmethod
    def work(path):
        """Nothing."""


def test_classes():
    def described(cls):
        return {'kind': 'class', 'bases': [f'{base.__module__}.{base.__qualname__}' for base in cls.__mro__[1:-1]],
                'members': {name: member for name, member in (
                    ('LIMIT', {'kind': 'value', 'value': str(cls.LIMIT)}),
                    ('work', {'kind': describe.kind_of(vars(cls)['work']),
                              'parameters': describe.parameters(cls.work)}))}}
    found = dict(compare.name_problems('m.C', described(Old), described(New)))
    assert {name: text for name, text in found.items() if text} == {
        'm.C(builtins.ValueError)': 'is no longer a base class',
        'm.C.LIMIT': 'is 4, was 3',
        'm.C.work': 'is a static method, was an instance method',
    }


def test_a_missing_module_and_a_missing_name():
    old = {'m': {'f': {'kind': 'function', 'parameters': []}}, 'n': {}}
    assert compare.compare(old, {'m': {}}) == {'m': None, 'm.f': 'is missing', 'n': 'is missing'}

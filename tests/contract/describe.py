# SPDX-License-Identifier: Apache-2.0
"""Describes the os_brick an interpreter has installed, as JSON: run with that interpreter.

What lives here runs in both environments and must not depend on either.
"""

import importlib
import importlib.metadata
import inspect
import json
import pkgutil
import sys
import warnings

PLAIN = (str, int, float, bool, tuple, list, dict, set, frozenset, type(None))


def parameters(function):
    """Each parameter as name, kind and shown default; None when the signature cannot be had."""
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    return [{'name': one.name, 'kind': one.kind.name,
             'default': None if one.default is one.empty else shown(one.default)} for one in found]


def shown(value):
    """The text of a plain value, `<object>` for everything that is another one in each process."""
    text = repr(sorted(value, key=repr)) if isinstance(value, (set, frozenset)) else repr(value)
    return text if isinstance(value, PLAIN) and ' at 0x' not in text else '<object>'


def kind_of(raw):
    return {staticmethod: 'static', classmethod: 'class', property: 'property'}.get(type(raw), 'instance')


def members(cls):
    """What a class and its bases of os_brick offer: public names, and the private ones consumers use."""
    found = {}
    for base in cls.__mro__:
        if not base.__module__.startswith('os_brick'):
            continue
        for name, raw in vars(base).items():
            if name in found or (name.startswith('__') and name != '__init__'):
                continue
            function = raw.__func__ if isinstance(raw, (staticmethod, classmethod)) else raw
            if isinstance(raw, property):
                found[name] = {'kind': 'property'}
            elif callable(function) and not inspect.isclass(function):
                found[name] = {'kind': kind_of(raw), 'parameters': parameters(function)}
            else:
                found[name] = {'kind': 'value', 'value': shown(raw)}
    return found


def describe_module(module):
    found = {}
    for name, value in vars(module).items():
        if name.startswith('_') or inspect.ismodule(value):
            continue
        if inspect.isclass(value):
            if not value.__module__.startswith('os_brick'):
                continue
            bases = [f'{base.__module__}.{base.__qualname__}' for base in value.__mro__[1:] if base is not object]
            found[name] = {'kind': 'class', 'home': f'{value.__module__}.{value.__qualname__}', 'bases': bases,
                           'members': members(value) if value.__module__ == module.__name__ else {}}
        elif inspect.isfunction(value):
            if value.__module__ == module.__name__:
                found[name] = {'kind': 'function', 'parameters': parameters(value)}
        elif isinstance(value, PLAIN):
            found[name] = {'kind': 'value', 'value': shown(value)}
    return found


def module_names():
    package = importlib.import_module('os_brick')
    found = pkgutil.walk_packages(package.__path__, 'os_brick.', onerror=lambda name: None)
    return ['os_brick'] + sorted(one.name for one in found if '.tests' not in one.name and
                                 not any(part.startswith('_') for part in one.name.split('.')))


def describe_modules():
    found = {}
    for name in module_names():
        try:
            found[name] = describe_module(importlib.import_module(name))
        except Exception as exc:
            found[name] = {'import error': {'kind': 'value', 'value': repr(exc)}}
    return found


def describe_options():
    """All options oslo.config's generators see: group -> name -> what an operator can rely on."""
    opts = importlib.import_module('os_brick.opts')
    return {str(group): {opt.name: {'type': repr(opt.type), 'default': shown(opt.default)} for opt in options}
            for group, options in opts.list_opts()}


def describe_contexts():
    privileged = importlib.import_module('os_brick.privileged')
    from oslo_config import cfg
    from oslo_privsep import priv_context
    found = {}
    for name, value in vars(privileged).items():
        if isinstance(value, priv_context.PrivContext):
            section = getattr(cfg.CONF, value.cfg_section)
            found[name] = {'section': value.cfg_section, 'pypath': value.pypath, 'prefix': value.prefix,
                           'capabilities': sorted(int(one) for one in section.capabilities),
                           'logger': value.conf.logger_name}
    return found


def describe_distribution():
    distribution = importlib.metadata.distribution('os-brick')
    return {
        'version': distribution.version,
        'entry points': sorted(f'{one.group}: {one.name} = {one.value}' for one in distribution.entry_points),
        'requires': sorted(distribution.requires or ()),
        'files': sorted(str(file) for file in distribution.files or () if 'etc/' in str(file)),
        'data': {str(file).split('etc/')[-1]: file.locate().read_text()
                 for file in distribution.files or () if 'etc/' in str(file)},
    }


if __name__ == '__main__':
    warnings.simplefilter('ignore')
    json.dump({'modules': describe_modules(), 'options': describe_options(), 'contexts': describe_contexts(),
               'distribution': describe_distribution()}, sys.stdout)

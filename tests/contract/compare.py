# SPDX-License-Identifier: Apache-2.0
"""What a caller of upstream would miss: differences between two descriptions (describe.py), as name -> problem.

Names that only the new package has are fine, and so are new optional parameters behind the old ones.
"""

POSITIONAL = ('POSITIONAL_ONLY', 'POSITIONAL_OR_KEYWORD')

#: What consumers use although its name begins with an underscore.
PRIVATE_BUT_USED = {
    'os_brick.encryptors.luks.LuksEncryptor._format_volume',
    'os_brick.executor.Executor._execute',
    'os_brick.executor.Executor._root_helper',
    'os_brick.initiator.connectors.rbd.RBDConnector._create_ceph_conf',
    'os_brick.initiator.connectors.rbd.RBDConnector._get_rbd_args',
    'os_brick.initiator.connectors.rbd.RBDConnector._get_rbd_handle',
    'os_brick.remotefs.remotefs.RemoteFsClient._mount_nfs',
    'os_brick.remotefs.remotefs.RemoteFsClient._read_mounts',
}


def call_problem(old, new):
    """Why a call that worked with the old parameters may not work with the new ones, or None."""
    if old is None or new is None:
        return None
    kinds = {one['kind'] for one in new}
    by_name = {one['name']: one for one in new}
    old_positional = [one for one in old if one['kind'] in POSITIONAL]
    new_positional = [one for one in new if one['kind'] in POSITIONAL]
    for index, one in enumerate(old_positional):
        problem = positional_problem(index, one, new_positional, kinds)
        if problem:
            return problem
    for one in new_positional[len(old_positional):]:
        if one['default'] is None:
            return f'the new parameter {one["name"]!r} is required'
    for one in old:
        if one['kind'] == 'KEYWORD_ONLY' and one['name'] not in by_name and 'VAR_KEYWORD' not in kinds:
            return f'the keyword {one["name"]!r} is gone'
        if one['kind'] in ('VAR_POSITIONAL', 'VAR_KEYWORD') and one['kind'] not in kinds:
            return f'further arguments ({one["name"]}) are no longer taken'
    return None


def positional_problem(index, old, new_positional, kinds):
    if index >= len(new_positional):
        return None if kinds & {'VAR_POSITIONAL', 'VAR_KEYWORD'} else f'the parameter {old["name"]!r} is gone'
    new = new_positional[index]
    if new['name'] != old['name']:
        return f'parameter {index} is {new["name"]!r}, was {old["name"]!r}'
    if old['default'] is not None and new['default'] is None:
        return f'{old["name"]!r} became required'
    if old['default'] not in (None, '<object>', new['default']):
        return f'the default of {old["name"]!r} is {new["default"]}, was {old["default"]}'
    return None


def member_problem(old, new):
    if new is None:
        return 'is missing'
    if 'property' in (old['kind'], new['kind']):
        return None if new['kind'] in ('property', 'value') else f'is a {new["kind"]} method, was a property'
    if 'value' in (old['kind'], new['kind']):
        return value_problem(old, new)
    # A class method can be called in every way a static one can, and the other way round for what callers write.
    if old['kind'] == 'instance' and new['kind'] != 'instance':
        return f'is a {new["kind"]} method, was an instance method'
    return call_problem(*(bound(one) for one in (old, new)))


def bound(member):
    parameters = member['parameters']
    return parameters[1:] if parameters and member['kind'] in ('instance', 'class') else parameters


def value_problem(old, new):
    if old['kind'] != new['kind']:
        return f'is a {new["kind"]}, was a {old["kind"]}'
    if old['value'] not in ('<object>', new['value']):
        return f'is {new["value"]}, was {old["value"]}'
    return None


def name_problems(full, old, new):
    """Problems of one name of a module: (dotted name, problem or None)."""
    if new is None:
        yield full, 'is missing'
        new = {'kind': old['kind'], 'members': {}, 'bases': old.get('bases', [])}
    elif old['kind'] == 'value':
        yield full, value_problem(old, new)
        return
    elif old['kind'] == 'function' and new['kind'] == 'function':
        yield full, call_problem(old['parameters'], new['parameters'])
    elif old['kind'] == 'class' and new['kind'] != 'class':
        yield full, f'is a {new["kind"]}, was a class'
    else:
        yield full, None
    if old['kind'] != 'class' or new['kind'] != 'class':
        return
    for base in old['bases']:
        if base.split('.')[0] in ('os_brick', 'builtins') or base.startswith('oslo'):
            yield f'{full}({base})', None if base in new['bases'] else 'is no longer a base class'
    for member, described in old['members'].items():
        name = f'{full}.{member}'
        if not member.startswith('_') or member == '__init__' or name in PRIVATE_BUT_USED:
            yield name, member_problem(described, new['members'].get(member))


def compare(old, new):
    """All names of the old modules: name -> problem or None."""
    found = {}
    for module, names in old.items():
        there = new.get(module)
        error = (there or {}).get('import error')
        found[module] = 'is missing' if there is None else (f'cannot be imported: {error["value"]}' if error else None)
        for name, described in names.items():
            found.update(name_problems(f'{module}.{name}', described, (there or {}).get(name)))
    return found

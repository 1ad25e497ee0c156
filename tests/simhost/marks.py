# SPDX-License-Identifier: Apache-2.0
"""Measured text in a document: between `<!-- NAME -->` and `<!-- /NAME -->`."""


def write(document, name, text):
    """Put text between the marks of a name; what is around stays."""
    begin, end = f'<!-- {name} -->\n', f'<!-- /{name} -->\n'
    before, found, rest = document.read_text().partition(begin)
    _, also_found, after = rest.partition(end)
    if not (found and also_found):
        raise SystemExit(f'{document} has no {begin.strip()} ... '
                         f'{end.strip()} to write the table to')
    document.write_text(f'{before}{begin}\n{text}\n{end}{after}')

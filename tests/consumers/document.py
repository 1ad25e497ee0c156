# SPDX-License-Identifier: Apache-2.0
"""The numbers as a Markdown table, and their place in docs/compatibility.md."""

import re

BEGIN, END = '<!-- consumers: begin -->', '<!-- consumers: end -->'


def table(comparisons):
    """One row for each consumer, from its name and Comparison."""
    rows = [('consumer', 'tests', 'pass on both', 'skip', 'fail on both', 'better on ours', 'worse on ours')]
    for name, found in comparisons.items():
        rows.append((name, found.total, found.passed, found.skipped, found.failed, found.better, len(found.regressions)))
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ['| ' + ' | '.join(cell.ljust(width) for cell, width in zip(row, widths)) + ' |' for row in rows]
    return [lines[0], '|' + '|'.join('-' * (width + 2) for width in widths) + '|', *lines[1:]]


def write(path, heading, comparisons):
    """Replaces what stands between the two marks; what is around them was written by hand."""
    text = path.read_text()
    block = '\n'.join([BEGIN, heading, '', *table(comparisons), END])
    changed, count = re.subn(f'{re.escape(BEGIN)}.*?{re.escape(END)}', lambda _: block, text, flags=re.S)
    if count != 1:
        raise SystemExit(f'{path}: exactly one pair of marks {BEGIN} {END} is needed, there are {count}')
    path.write_text(changed)

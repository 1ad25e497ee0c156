"""Tables of what benchmarks measured: an operation a line, who did it a column, medians over the rounds.

What must not live here: judgement. What a number has to be stands in the issue or the page that quotes it.
"""

import collections
import statistics

from lab import report

#: The order of the columns that are known; others follow as they came.
KNOWN = ('upstream', 'ours', 'floor')


def measured(results):
    """{operation: {who: [seconds]}} of the numbers that are named `OPERATION|WHO`."""
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for result in results:
        for name, seconds in result.measured:
            operation, bar, who = name.partition('|')
            if bar:
                found[operation][who].append(seconds)
    return found


def save(results, directory):
    """The table, shown and kept, when a benchmark ran."""
    text = table(results)
    if text:
        report.say('\n' + text)
        (directory / 'medians.md').write_text(text + '\n')


def table(results):
    """Markdown, or nothing when no benchmark ran."""
    found = measured(results)
    if not found:
        return ''
    told = {who: None for numbers in found.values() for who in numbers}
    columns = [who for who in KNOWN if who in told] + [who for who in told if who not in KNOWN]
    lines = ['| seconds | ' + ' | '.join(columns) + ' | rounds | faster | ours / floor |',
             '|' + '---|' * (len(columns) + 4)]
    for operation, numbers in found.items():
        middle = {who: statistics.median(seconds) for who, seconds in numbers.items()}
        rounds = sorted({len(seconds) for seconds in numbers.values()})
        cells = [f'{middle[who]:.3f}' if who in middle else '' for who in columns]
        lines.append(f"| {operation} | {' | '.join(cells)} | {'-'.join(map(str, rounds))} | "
                     f"{_ratio(middle, 'upstream', 'ours', 'x')} | {_ratio(middle, 'ours', 'floor', '')} |")
    return '\n'.join(lines)


def _ratio(middle, above, below, unit):
    if above not in middle or not middle.get(below):
        return ''
    return f'{middle[above] / middle[below]:.2f}{unit}'

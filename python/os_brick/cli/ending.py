# SPDX-License-Identifier: Apache-2.0
"""How a command ends: its exit codes, and the exception that carries one."""

#: Nothing to complain of.
OK = 0
#: It could not be found out or done; the reason is on stderr.
FAILED = 1
#: Wrong arguments, or a file that cannot be used; the host was not touched.
REFUSED = 2
#: `orphans` found something, `clean` left something, `doctor` found an error, `verify` a host
#: that is not as expected.
FOUND = 3
#: It failed or was stopped half-way, and something of the volume remains on the host.
REMAINS = 4
#: Added to the number of the signal that stopped a command, after it cleaned up.
STOPPED = 128

#: All of them, for help and manual.
MEANINGS = (
    ('0', 'all well'),
    ('1', 'it could not be found out or done; nothing is left half-way'),
    ('2', 'wrong arguments, or a file that cannot be used; the host was not touched'),
    ('3', 'orphans found something, clean left something, doctor found an error, verify a host that is not as expected'),
    ('4', 'it failed or was stopped half-way, and something of the volume remains on the host'),
    ('128 + N', 'stopped by signal N; what an attach had made is gone again'),
)


class Ended(Exception):
    """Ends a command with an exit code and a text for stderr."""

    def __init__(self, code: int, text: str) -> None:
        """Take both."""
        super().__init__(text)
        self.code = code


def refused(text: str) -> Ended:
    """Make the exception for input that cannot be used."""
    return Ended(REFUSED, text)

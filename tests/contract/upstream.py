# SPDX-License-Identifier: Apache-2.0
"""Makes the environment with upstream os-brick 7.1.1 that others are compared with; as a program prints its python.

$OS_BRICK_UPSTREAM says where it is.  The dependencies are those our own tests use, so that nothing but os-brick differs.
"""

import os
import pathlib
import subprocess
import sys
import venv

TOP = pathlib.Path(__file__).parents[2]
REQUIREMENT = 'os-brick==7.1.1'
CONSTRAINTS = TOP / 'tests' / 'lab' / 'requirements.txt'


def directory():
    return pathlib.Path(os.environ.get('OS_BRICK_UPSTREAM') or TOP / '.tox' / 'upstream')


def python():
    """The interpreter of the environment, which is made when it is missing or for other pins."""
    place = directory()
    stamp, wanted = place / 'made-for', f'{sys.version}\n{CONSTRAINTS.read_text()}'
    interpreter = place / 'bin' / 'python'
    if not stamp.exists() or stamp.read_text() != wanted:
        venv.create(place, clear=True, with_pip=True)
        # pip prefers our 7.1.1+rs1 to 7.1.1 wherever it sees both: only the index may be asked.
        subprocess.run([interpreter, '-m', 'pip', 'install', '--quiet', '-c', CONSTRAINTS,
                        REQUIREMENT], env={**os.environ, 'PIP_FIND_LINKS': ''}, check=True)
        stamp.write_text(wanted)
    return interpreter


if __name__ == '__main__':
    print(python())

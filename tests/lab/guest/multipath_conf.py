"""The six variants of /etc/multipath.conf a scenario can ask for."""

import json
from pathlib import Path

from guest import command, daemons

DEFAULT = {'find_multipaths': 'no', 'user_friendly_names': 'no'}
ALL = [{'find_multipaths': find, 'user_friendly_names': friendly}
       for find in ('no', 'yes', 'strict') for friendly in ('no', 'yes')]
CONFIG = Path('/etc/multipath.conf')
DATABASE = Path('/etc/multipath')


def apply(variant):
    """Write the file and make multipathd use it; nothing happens when it is in force already."""
    settings = dict(DEFAULT, **(variant or {}))
    lines = ''.join(f'    {name} {value}\n' for name, value in sorted(settings.items()))
    text = ('defaults {\n' + lines + '}\nblacklist {\n    devnode "^(vd|sr|fd|loop|nvme|md|dcssblk|zram)"\n}\n')
    if CONFIG.exists() and CONFIG.read_text() == text and daemons.pids('multipathd'):
        return json.dumps(settings)
    CONFIG.write_text(text)
    clear_database()
    daemons.restart('multipathd')
    return json.dumps(settings)


def clear_database():
    """Forget every known WWID and friendly name, as on a host that never saw a volume."""
    DATABASE.mkdir(mode=0o755, exist_ok=True)
    for name in ('wwids', 'bindings'):
        (DATABASE / name).unlink(missing_ok=True)


def flush_all():
    command.run('multipath', '-F', check=False, seconds=30)

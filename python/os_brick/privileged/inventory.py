# SPDX-License-Identifier: Apache-2.0
"""What only root can find out about the attached volumes, and taking away what is left behind.

Only `clean` changes the host, and only when it is told to.
"""

import os
from typing import Any, Optional

from os_brick import _engine
from os_brick import _native
from os_brick import exception
from os_brick import privileged
from os_brick.privileged import plain_data

#: What every os-brick of the host locks, also a stock one.
_LOCK_FILE = 'os-brick-connect_volume'


@privileged.default.entrypoint
def read(records: Optional[str] = None) -> dict[str, Any]:
    """Return the inventory with the open counts; see `os_brick.initiator.inventory.read`.

    :param records: directory of the attachment records; then each volume's `record` says
        whose it is: `attached`, `half_done`, `under_way`, `stale` (from before the host was
        started) or `unknown`
    """
    return _native.call(_engine.inventory.read, '/', True,
                        plain_data.check_path('records', records))


@privileged.default.entrypoint
def find_orphans(records: Optional[str] = None) -> dict[str, Any]:
    """Return the findings after asking every disk that is up for its identity.

    See `os_brick.initiator.inventory.find_orphans`; disks that did not answer are in
    `silent`.  Takes about a minute at most.

    :param records: directory of the attachment records, which are findings too when nobody
        finished what they tell of or their volume is not here
    """
    return _native.call(_engine.inventory.orphans, '/', True,
                        plain_data.check_path('records', records))


@privileged.default.entrypoint
def clean(apply: bool = False, lock_path: Optional[str] = None,
          records: Optional[str] = None) -> dict[str, Any]:
    """Look for what is left behind, and remove what is proven unused.

    Each leftover is looked at again in the moment before, while no attach or detach runs on
    the host.

    :param apply: False changes nothing
    :param lock_path: the lock directory of this host's services, needed by `apply`
    :param records: directory of the attachment records
    :returns: `outcomes`, each with `kind`, `subject`, `fate` (`removed`, `would_remove`,
        `left`, `gone`, `failed`), `reason` and the `commands` an operator would type, and
        `applied`
    :raises InvalidParameterValue: a path is not absolute, or nobody locks in `lock_path`
    """
    lock_path = plain_data.check_path('lock_path', lock_path)
    records = plain_data.check_path('records', records)
    if apply and (lock_path is None or not os.path.isfile(os.path.join(lock_path, _LOCK_FILE))):
        # With another directory than the services' no attach would be kept out.
        raise exception.InvalidParameterValue(
            err=f'lock_path must be the lock directory of the services, and there is no '
                f'{_LOCK_FILE} in {lock_path}')
    # Without `apply` no lock is taken.
    return _native.call(_engine.inventory.clean, lock_path or '/', bool(apply), '/', records)

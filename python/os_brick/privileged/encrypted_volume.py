# SPDX-License-Identifier: Apache-2.0
"""What the verbs of all transports do around the engine: checks, and an encrypted volume's link.

The link is made after the attach and removed after the detach, as root.
"""

import os
from collections.abc import Collection, Iterable
from typing import Any, Callable, Optional

from oslo_log import log as logging

from os_brick import encrypted_link
from os_brick.privileged import plain_data
from os_brick.privileged import rootwrap

LOG = logging.getLogger(__name__)


def check(properties: Any, settings: Any, keys: Collection[str],
          nested: Collection[str] = ()) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return properties and settings as the engine is to get them, whoever sent them.

    :raises InvalidParameterValue: see `plain_data`
    """
    properties = plain_data.check_properties(properties, keys, nested)
    if 'device_path' in properties:
        properties['device_path'] = encrypted_link.device_path_of(properties['device_path'])
    return properties, plain_data.check_settings(settings)


def hand_out(properties: dict[str, Any], result: dict[str, Any],
             detach: Callable[[str], Iterable[str]]) -> dict[str, Any]:
    """Return the result of an attach; the path of an encrypted volume is a link of its own.

    :param detach: detaches the volume at a path by force, and returns the errors it met
    :raises Exception: what kept the link from being made; the volume is detached again
    """
    if not properties.get('encrypted'):
        return result
    path = result['path']
    try:
        link = encrypted_link.name_for(path)
        rootwrap.link_root(encrypted_link.target_of(path), link, force=True)
    except Exception:
        LOG.warning('No link for the encrypted volume at %s, detaching it', path)
        _undo(path, detach)
        raise
    return {**result, 'path': link}


def _undo(path: str, detach: Callable[[str], Iterable[str]]) -> None:
    """Detach after a failed attach, keeping the error that caused it the only one."""
    try:
        errors = list(detach(path))
    except Exception as exc:
        errors = [str(exc)]
    for error in errors:
        LOG.warning('Detaching %(path)s again: %(error)s', {'path': path, 'error': error})


def links(properties: dict[str, Any], device_path: Optional[str],
          find: Callable[[], Iterable[str]]) -> list[str]:
    """Return the links an encrypted volume was handed out under, as far as they exist.

    :param device_path: the path the attach returned, or None
    :param find: a caller that lost what the attach returned does not name the link; this
        returns those the volume may have been handed out under
    """
    if encrypted_link.is_link_path(device_path):
        named: Iterable[str] = [device_path]
    else:
        named = find() if properties.get('encrypted') else []
    return [link for link in named if os.path.islink(link)]


def remove_links(links: Iterable[str]) -> None:
    """Remove the links of a detached volume; one that remains is a warning."""
    for link in links:
        try:
            rootwrap.unlink_root(link)
        except Exception as exc:
            LOG.warning('The link %(link)s of the detached volume remains: %(error)s',
                        {'link': link, 'error': exc})

# SPDX-License-Identifier: Apache-2.0
"""What the host says, as plain data: connectors, inventory, orphans.  Nothing here changes the host or asks a server."""

import os
import socket
import threading
from typing import Any, Optional

from oslo_concurrency import processutils
from oslo_privsep import daemon

from os_brick import exception
from os_brick import initiator
from os_brick import privileged
from os_brick import version
from os_brick.initiator import connector
from os_brick.initiator import inventory
from os_brick.privileged import inventory as priv_inventory
from os_brick.verify import problems

#: Why the paths of one volume cannot be asked for: their connectors would do more than look, or have nothing to see.
_NO_PATHS = {
    initiator.RBD: 'volumes of rbd have no path before they are attached, and librbd never makes one',
    initiator.SCALEIO: 'its connector asks the gateway that the connection properties name',
}
#: Protocols the service leaves alone: they mount, start a vendor's program, or keep no volume on the host.
_LEFT_OUT = {initiator.NFS, initiator.GLUSTERFS, initiator.SCALITY, initiator.QUOBYTE, initiator.VZSTORAGE,
             initiator.HUAWEISDSHYPERVISOR, initiator.VMDK}
#: Here the properties are all there is.  Elsewhere a path that was remembered may be another volume's by now.
_BELIEVED = {initiator.LOCAL, initiator.GPFS}
#: What names a volume or its target, in findings too.
_IDENTITIES = ('target_iqn', 'target_iqns', 'target_nqn', 'nqn', 'target_wwn', 'target_wwns', 'wwn', 'scsi_wwn',
               'vol_uuid', 'volume_nguid', 'uuid')
#: What says that the host cannot tell; without root's rights the daemon that has them may not start.
_CANNOT_TELL = (exception.BrickException, OSError, processutils.ProcessExecutionError, daemon.FailedToDropPrivileges)


def _known() -> list[str]:
    return sorted(name.lower() for name in connector.get_connector_mapping() if name not in _LEFT_OUT)


def _identities(properties: dict[str, Any]) -> set[str]:
    found = set()
    for key in _IDENTITIES:
        value = properties.get(key)
        for item in value if isinstance(value, list) else [value]:
            # Shorter ones are part of too many other words.
            if isinstance(item, str) and len(item) >= 8:
                found.add(item.lower())
    return found


def concerning(findings: list[dict[str, Any]], properties: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the findings that name the target or the identity of a volume."""
    wanted = _identities(properties)

    def texts(finding: dict[str, Any]) -> str:
        seen = [finding['subject'], *(item['value'] for item in finding['evidence'])]
        return '\n'.join(seen).lower()
    return [finding for finding in findings if any(name in texts(finding) for name in wanted)]


class Host:
    """One machine: this one, or a tree of files that was captured from another."""

    def __init__(self, root: str = '/') -> None:
        """Take the directory of the machine's files."""
        self.root = root
        self.captured = os.path.realpath(root) != '/'
        #: As root everything is looked at in this process; a captured tree holds all there is.
        self.is_root = os.geteuid() == 0 and not self.captured
        self._asking = threading.Lock()
        if os.geteuid() == 0:
            privileged.default.set_client_mode(False)

    def _here_only(self) -> None:
        if self.captured:
            raise problems.Problem(409, f'the service shows the captured tree {self.root}; '
                                        'connectors look at the machine they run on')

    def description(self) -> dict[str, Any]:
        """Return which host this is."""
        name = os.path.basename(os.path.realpath(self.root)) if self.captured else socket.gethostname()
        return {'host': name, 'version': version.__version__, 'root': self.is_root, 'captured': self.captured,
                'production': False}

    def properties(self, ip: str, multipath: bool) -> dict[str, Any]:
        """Return what the host tells Cinder before an attach."""
        self._here_only()
        try:
            return connector.get_connector_properties('sudo', ip, multipath, False)
        except _CANNOT_TELL as exc:
            raise problems.Problem(409, f'the properties are not known: {type(exc).__name__}') from exc

    def _connector(self, protocol: str) -> Any:
        self._here_only()
        if protocol not in _known():
            detail = f'there is no protocol {protocol!r} to look at; it is one of {", ".join(_known())}'
            raise problems.Problem(404, detail)
        try:
            return connector.InitiatorConnector.factory(protocol, 'sudo', use_multipath=True)
        except _CANNOT_TELL as exc:
            raise problems.Problem(409, f'this host has no {protocol}: {exc}') from exc

    def protocols(self) -> list[dict[str, Any]]:
        """Return all protocols that can be looked at."""
        self._here_only()
        found = []
        for protocol in _known():
            reason: Optional[str] = _NO_PATHS.get(protocol.upper())
            path = None
            try:
                path = self._connector(protocol).get_search_path()
            except problems.Problem as exc:
                reason = exc.detail
            found.append({'protocol': protocol, 'search_path': path, 'paths': reason is None, 'reason': reason})
        return found

    def search_path(self, protocol: str) -> dict[str, Any]:
        """Return where volumes of a protocol appear."""
        return {'protocol': protocol, 'search_path': self._connector(protocol).get_search_path()}

    def volumes(self, protocol: str) -> dict[str, Any]:
        """Return everything in the search path of a protocol."""
        found = self._connector(protocol).get_all_available_volumes() or []
        return {'protocol': protocol, 'volumes': sorted(str(name) for name in found)}

    def paths(self, protocol: str, properties: dict[str, Any]) -> dict[str, Any]:
        """Return the paths a volume has now, those that exist, and the findings that name it."""
        chosen = self._connector(protocol)
        if protocol.upper() in _NO_PATHS:
            raise problems.Problem(404, _NO_PATHS[protocol.upper()])
        if protocol.upper() not in _BELIEVED:
            properties = {key: value for key, value in properties.items() if key != 'device_path'}
        if protocol in ('iscsi', 'iser') and not (properties.get('target_portal') or properties.get('target_portals')):
            # The connector finds nothing then, and nothing would read as detached.
            raise problems.invalid('target_portal', properties.get('target_portal'),
                                   'it or target_portals is needed to look for a volume')
        try:
            names = [str(path) for path in chosen.get_volume_paths(properties)]
        except problems.WRONG_PROPERTIES as exc:
            raise problems.of_properties(exc, properties) from exc
        except _CANNOT_TELL as exc:
            raise problems.Problem(409, f'this host cannot tell: {type(exc).__name__}') from exc
        there = [{'path': name, 'device': os.path.basename(os.path.realpath(name))}
                 for name in names if os.path.exists(name)]
        return {'protocol': protocol, 'present': bool(there), 'paths': there,
                'leftovers': concerning(self.orphans(False)['findings'], properties)}

    def inventory(self) -> dict[str, Any]:
        """Return everything that is attached."""
        return priv_inventory.read() if self.is_root else inventory.read(self.root)

    def orphans(self, live: bool) -> dict[str, Any]:
        """Return the findings; with `live` the disks are asked, by one caller at a time."""
        if not live:
            return inventory.find_orphans(self.root)
        if not self.is_root:
            raise problems.Problem(409, 'only root can ask the disks, and only those of the machine it runs on')
        if not self._asking.acquire(blocking=False):
            raise problems.Problem(429, 'the disks are being asked already', headers={'Retry-After': '5'})
        try:
            return priv_inventory.find_orphans()
        finally:
            self._asking.release()

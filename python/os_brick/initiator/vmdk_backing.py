# SPDX-License-Identifier: Apache-2.0
"""What vCenter does with the disk of a backing and with the files of its datastore.

Nothing here imports oslo.vmware; its session, and `vim_util` of it, are handed in.
"""

import http.client
from typing import Any, Optional

from oslo_log import log as logging

LOG = logging.getLogger(__name__)


def _run_task(session: Any, method: str, *args: Any, **kwargs: Any) -> None:
    LOG.debug('Running %s', method)
    session.wait_for_task(session.invoke_api(session.vim, method, *args, **kwargs))


class Backing:
    """The virtual machine, never started, that holds a volume as its disk."""

    def __init__(self, session: Any, vim_util: Any, moref: Any) -> None:
        """Take the session, the module `oslo_vmware.vim_util` and the reference."""
        self._session = session
        self._vim_util = vim_util
        self._moref = moref

    def _property(self, name: str) -> Any:
        return self._session.invoke_api(self._vim_util, 'get_object_property',
                                        self._session.vim, self._moref, name)

    def has_snapshots(self) -> bool:
        """Tell whether there are any."""
        snapshot = self._property('snapshot')
        return bool(snapshot is not None and snapshot.rootSnapshotList)

    def find_disk(self, vmdk_path: str) -> Any:
        """Return the disk, the one with this file if there are several, or None."""
        devices = self._property('config.hardware.device')
        if devices.__class__.__name__ == 'ArrayOfVirtualDevice':
            devices = devices.VirtualDevice
        disks = [one for one in devices if one.__class__.__name__ == 'VirtualDisk']
        if len(disks) > 1:
            disks = [disk for disk in disks if disk.backing.fileName == vmdk_path]
        return disks[0] if disks else None

    def detach_disk(self, disk: Any) -> None:
        """Take a disk away and remove its file."""
        self._change_disk(disk, 'remove', 'destroy')

    def attach_disk(self, disk: Any) -> None:
        """Add a disk whose file exists."""
        self._change_disk(disk, 'add')

    def _change_disk(self, disk: Any, operation: str,
                     file_operation: Optional[str] = None) -> None:
        factory = self._session.vim.client.factory
        change = factory.create('ns0:VirtualDeviceConfigSpec')
        change.operation = operation
        if file_operation:
            change.fileOperation = file_operation
        change.device = disk
        spec = factory.create('ns0:VirtualMachineConfigSpec')
        spec.deviceChange = [change]
        _run_task(self._session, 'ReconfigVM_Task', self._moref, spec=spec)


def make_folder(session: Any, path: str, dc_ref: Any) -> None:
    """Make a folder in a datastore; vCenter refuses one that exists."""
    session.invoke_api(session.vim, 'MakeDirectory', session.vim.service_content.fileManager,
                       name=path, datacenter=dc_ref)


def copy_disk(session: Any, source: str, target: str, dc_ref: Any) -> None:
    """Copy a disk to a new file, in a format virtual machines can use."""
    _run_task(session, 'CopyVirtualDisk_Task', session.vim.service_content.virtualDiskManager,
              sourceName=source, sourceDatacenter=dc_ref,
              destName=target, destDatacenter=dc_ref)


def delete_file(session: Any, path: str, dc_ref: Any) -> None:
    """Delete a file of a datastore."""
    _run_task(session, 'DeleteDatastoreFile_Task', session.vim.service_content.fileManager,
              name=path, datacenter=dc_ref)


def remember_answers(write_handle: Any) -> Optional[list[int]]:
    """Collect the HTTP status of an upload in the list that is returned.

    oslo.vmware reads the answer when it closes the handle and does not look at it.

    :param write_handle: an `oslo_vmware.rw_handles.FileWriteHandle`
    :returns: None if the handle has no HTTP connection
    """
    connection = getattr(write_handle, '_conn', None)
    if not isinstance(connection, http.client.HTTPConnection):
        return None
    answers: list[int] = []
    read_answer = connection.getresponse

    def getresponse(*args: Any, **kwargs: Any) -> Any:
        answer = read_answer(*args, **kwargs)
        answers.append(answer.status)
        return answer

    connection.getresponse = getresponse  # type: ignore[method-assign]
    return answers

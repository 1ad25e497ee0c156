# SPDX-License-Identifier: Apache-2.0
"""A small vCenter, behind stand-ins for the modules of oslo.vmware.

Uploads are real HTTP to localhost.  A stream begins with b'z:' as its compression.
"""

import http.client
import http.server
import pathlib
import threading
import types


class FileAlreadyExistsException(Exception):
    pass


class ImageTransferException(Exception):
    pass


class VirtualDisk:
    """A disk of a backing; what vSphere knows of it dates from when it was added."""

    def __init__(self, path):
        self.backing = types.SimpleNamespace(fileName=path)
        self.capacity = None


class VirtualController:
    pass


class ArrayOfVirtualDevice:
    def __init__(self, devices):
        self.VirtualDevice = devices


class Path:
    """A path in a datastore, such as [ds1] cinder_temp/a.vmdk."""

    def __init__(self, store, rel_path):
        self.store, self.rel_path = store, rel_path

    @property
    def parent(self):
        return Path(self.store, str(pathlib.PurePosixPath(self.rel_path).parent))

    def __str__(self):
        return f'[{self.store}] {self.rel_path}'


class Uploads(http.server.BaseHTTPRequestHandler):

    def do_PUT(self):
        vcenter = self.server.vcenter
        length = int(self.headers['Content-Length'])
        body = self.rfile.read(length)
        if len(body) < length:
            return
        if vcenter.upload_status < 300:
            vcenter.files['[ds1] ' + self.path.removeprefix('/folder/')] = body
        self.send_response(vcenter.upload_status)
        self.send_header('Content-Length', '0')
        self.end_headers()

    def log_message(self, *args):
        pass


class VCenter:
    """The state of vCenter, and the server that takes uploads."""

    def __init__(self):
        self.files = {'[ds1] vol/vol.vmdk': b'old content'}
        self.folders = set()
        self.disk = VirtualDisk('[ds1] vol/vol.vmdk')
        self.disk.capacity = 11
        self.devices = [VirtualController(), self.disk]
        self.snapshot = None
        self.sessions = 0
        self.calls = []
        self.errors = {}
        self.upload_status = 201
        self.server = http.server.HTTPServer(('127.0.0.1', 0), Uploads)
        self.server.vcenter = self
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.thread.join(60)
        self.server.server_close()

    def fail(self, call):
        if call in self.errors:
            raise self.errors[call]

    def get_object_property(self, vim, ref, name):
        return {('VirtualMachine', 'snapshot'): self.snapshot,
                ('VirtualMachine', 'config.hardware.device'): ArrayOfVirtualDevice(self.devices),
                ('Datacenter', 'name'): 'dc1'}[ref[0], name]

    def MakeDirectory(self, manager, name, datacenter):
        if name in self.folders:
            raise FileAlreadyExistsException(name)
        self.folders.add(name)

    def ReconfigVM_Task(self, backing, spec):
        change, = spec.deviceChange
        if change.operation == 'remove':
            self.devices.remove(change.device)
            if getattr(change, 'fileOperation', None) == 'destroy':
                del self.files[change.device.backing.fileName]
        else:
            change.device.capacity = len(self.files[change.device.backing.fileName])
            self.devices.append(change.device)

    def CopyVirtualDisk_Task(self, manager, sourceName, sourceDatacenter, destName,
                             destDatacenter):
        if destName in self.files:
            raise FileAlreadyExistsException(destName)
        stream = self.files[sourceName]
        assert stream.startswith(b'z:')
        self.files[destName] = stream[2:]

    def DeleteDatastoreFile_Task(self, manager, name, datacenter):
        del self.files[name]


class Session:
    """A session of the API; calls return tasks, and tasks do their work when waited for."""

    def __init__(self, vcenter, ip, username, password, retries, interval, **kwargs):
        self.vcenter = vcenter
        vcenter.fail('login')
        vcenter.sessions += 1
        vcenter.login = (ip, username, password, retries, interval, kwargs)
        factory = types.SimpleNamespace(create=lambda name: types.SimpleNamespace(kind=name))
        self.vim = types.SimpleNamespace(
            client=types.SimpleNamespace(factory=factory, cookiejar='cookies'),
            service_content=types.SimpleNamespace(fileManager='files',
                                                  virtualDiskManager='disks'))

    def invoke_api(self, module, method, *args, **kwargs):
        name = method
        if method == 'ReconfigVM_Task':
            name = kwargs['spec'].deviceChange[0].operation
        if method != 'get_object_property':
            self.vcenter.calls.append(name)

        def run():
            self.vcenter.fail(name)
            return getattr(self.vcenter, method)(*args, **kwargs)
        return run if method.endswith('_Task') else run()

    def wait_for_task(self, task):
        task()

    def logout(self):
        self.vcenter.sessions -= 1
        self.vcenter.fail('logout')


class FileWriteHandle:
    """As that of oslo.vmware, which closes without looking at the answer."""

    def __init__(self, host, port, dc_name, ds_name, cookies, path, size, cacerts=False):
        self.wanted = (host, port, dc_name, ds_name, cookies, cacerts)
        self._conn = http.client.HTTPConnection(host, port, timeout=60)
        self._conn.putrequest('PUT', f'/folder/{path}')
        self._conn.putheader('Content-Length', str(size))
        self._conn.endheaders()
        self._left = size

    def write(self, data):
        self._conn.send(data)
        self._left -= len(data)

    def close(self):
        if not self._left:
            self._conn.getresponse()
        self._conn.close()


def library(vcenter):
    """Return stand-ins for the modules of oslo.vmware, by the names the connector has."""
    handles = []

    def write_handle(*args, **kwargs):
        handles.append(FileWriteHandle(*args, **kwargs))
        vcenter.uploaded_with = handles[-1].wanted
        return handles[-1]

    def transfer(source, target, timeout):
        try:
            vcenter.fail('transfer')
            target.write(source.read())
        except Exception as exc:
            raise ImageTransferException(str(exc))
        finally:
            source.close()
            target.close()

    def download(context, timeout, stream, **kwargs):
        vcenter.downloaded_with = (timeout, {key: value for key, value in kwargs.items()
                                             if key != 'session'})
        stream.write(b'z:half')
        vcenter.fail('download')
        stream.seek(0)
        stream.write(b'z:' + vcenter.files[kwargs['vmdk_file_path']])
        stream.close()

    def store(session, ref):
        assert ref == ('Datastore', 'datastore-1')
        return types.SimpleNamespace(
            name='ds1', build_path=lambda *parts: Path('ds1', '/'.join(parts)))

    return {
        'api': types.SimpleNamespace(
            VMwareAPISession=lambda *args, **kwargs: Session(vcenter, *args, **kwargs)),
        'datastore': types.SimpleNamespace(get_datastore_by_ref=store),
        'image_transfer': types.SimpleNamespace(copy_stream_optimized_disk=download,
                                                _start_transfer=transfer),
        'oslo_vmw_exceptions': types.SimpleNamespace(
            FileAlreadyExistsException=FileAlreadyExistsException),
        'rw_handles': types.SimpleNamespace(FileWriteHandle=write_handle),
        'vim_util': types.SimpleNamespace(get_moref=lambda value, kind: (kind, value)),
    }

# SPDX-License-Identifier: Apache-2.0
"""A small Ceph: a cluster in memory behind the names of rados and rbd.

What must not live here: expectations.  Tests look at what is in the cluster and what is open.
"""

import configparser
import types

KEY = 'AQBzdWNoLXNlY3JldC1rZXk='
KEYRING = f'[client.cinder]\n\tkey = {KEY}\n'
HOSTS = ['10.0.0.1', 'fd00::2']
PORTS = ['6789', '6790']
MON_HOST = '10.0.0.1:6789,[fd00::2]:6790'


class RadosError(Exception):
    pass


class RbdError(Exception):
    pass


class ImageNotFound(RbdError):
    pass


class InvalidArgument(RbdError):
    pass


class Image:
    """What is stored; `rbd.Image` opens it."""

    def __init__(self, size):
        self.content = bytearray(size)
        self.flushed = 0


class Cluster:
    """Pools, images, and what is open at the moment; `rados` and `rbd` are its modules."""

    def __init__(self):
        #: (pool, namespace, image, snapshot) -> Image
        self.images = {}
        self.pools = {'volumes', 'backups'}
        self.users = {'cinder': KEY}
        self.cephx = True
        self.opened = []
        #: Seen by connect: (user, cluster name, text of the conf).
        self.connections = []
        self.fail_at = None
        cluster = self
        self.rados = types.SimpleNamespace(
            Error=RadosError, Rados=lambda **kwargs: _Rados(cluster, **kwargs))
        self.rbd = types.SimpleNamespace(
            Error=RbdError, ImageNotFound=ImageNotFound, InvalidArgument=InvalidArgument,
            Image=lambda *args, **kwargs: _OpenImage(cluster, *args, **kwargs))

    def add(self, pool, image, size=8192, namespace='', snapshot=''):
        return self.images.setdefault((pool, namespace, image, snapshot), Image(size))

    def fail(self, step, error):
        self.fail_at = (step, error)

    def step(self, name):
        if self.fail_at and self.fail_at[0] == name:
            raise self.fail_at[1]

    def open_kinds(self):
        return [type(one).__name__ for one in self.opened]


class _Open:
    def __init__(self, cluster):
        self.cluster = cluster
        cluster.opened.append(self)

    def _close(self):
        if self in self.cluster.opened:
            self.cluster.opened.remove(self)


class _Rados(_Open):
    def __init__(self, cluster, rados_id, clustername, conffile):
        # The binding refuses bytes, so does this.
        assert rados_id is None or isinstance(rados_id, str)
        assert isinstance(clustername, str)
        cluster.step('construct')
        with open(conffile) as stream:
            text = stream.read()
        cluster.connections.append((rados_id, clustername, text))
        self.user = rados_id
        self.conf = configparser.ConfigParser(strict=False)
        self.conf.read_string('\n'.join(line.strip() for line in text.splitlines()))
        super().__init__(cluster)

    def connect(self):
        self.cluster.step('connect')
        if not self.conf.get('global', 'mon_host'):
            raise RadosError('no monitors')
        if self.cluster.cephx:
            section = f'client.{self.user}'
            key = self.conf.get(section, 'key', fallback=None)
            if not key or key != self.cluster.users.get(self.user):
                raise RadosError('[errno 13] error connecting to the cluster')

    def open_ioctx(self, pool):
        assert isinstance(pool, str)
        self.cluster.step('open_ioctx')
        if pool not in self.cluster.pools:
            raise RadosError(f'error opening pool {pool!r}')
        return _Ioctx(self.cluster, pool)

    def shutdown(self):
        self._close()


class _Ioctx(_Open):
    def __init__(self, cluster, pool):
        super().__init__(cluster)
        self.pool, self.namespace = pool, ''

    def set_namespace(self, namespace):
        self.cluster.step('set_namespace')
        self.namespace = namespace

    def close(self):
        self._close()
        self.cluster.step('ioctx.close')


class _OpenImage(_Open):
    def __init__(self, cluster, ioctx, name=None, snapshot=None, read_only=False):
        assert isinstance(name, str)
        assert snapshot is None or isinstance(snapshot, str)
        cluster.step('open')
        key = (ioctx.pool, ioctx.namespace, name, snapshot or '')
        if key not in cluster.images:
            raise ImageNotFound(f'error opening image {name} at snapshot {snapshot}')
        super().__init__(cluster)
        self.stored, self.read_only = cluster.images[key], read_only
        self.closed, self.closes = False, 0

    def require_not_closed(self):
        if self.closed:
            raise InvalidArgument('image is closed')

    def size(self):
        self.require_not_closed()
        return len(self.stored.content)

    def read(self, offset, length):
        self.require_not_closed()
        self.cluster.step('read')
        if offset > self.size():
            raise InvalidArgument('read beyond the end')
        return bytes(self.stored.content[offset:offset + length])

    def write(self, data, offset):
        self.require_not_closed()
        self.cluster.step('write')
        if not isinstance(data, bytes):
            raise TypeError('data must be a bytes')
        if self.read_only or offset + len(data) > self.size():
            raise RbdError('write refused')
        self.stored.content[offset:offset + len(data)] = data
        return len(data)

    def flush(self):
        self.require_not_closed()
        self.cluster.step('flush')
        self.stored.flushed += 1

    def close(self):
        self.closes += 1
        self.closed = True
        self._close()
        self.cluster.step('image.close')

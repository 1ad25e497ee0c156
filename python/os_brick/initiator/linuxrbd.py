# SPDX-License-Identifier: Apache-2.0
"""Images of a Ceph cluster through librbd: the connection, an open image, the image as a file."""

import io
import os
from types import ModuleType, TracebackType
from typing import Any, NoReturn, Optional

from oslo_log import log as logging

from os_brick import exception
from os_brick import utils
from os_brick.i18n import _

# Not on PyPI: the distribution's packages bring them, on hosts that use Ceph.
rados: Optional[ModuleType]
rbd: Optional[ModuleType]
try:
    import rados
    import rbd
except ImportError:
    rados = None
    rbd = None

LOG = logging.getLogger(__name__)


class RBDClient:
    """A connection to a cluster and one of its pools, also as a context."""

    def __init__(self, user: str, pool: str, *args: Any, **kwargs: Any) -> None:
        """Connect.

        :param user: name of the client, without `client.`; None if cephx is disabled
        :param pool: name of the pool
        :param kwargs: `conffile`, by default /etc/ceph/ceph.conf; `rbd_cluster_name`, by
            default ceph; `rados` and `rbd` replace the modules
        :raises InvalidParameterValue: a module is missing
        :raises BrickException: no connection
        """
        self.rbd_user = utils.convert_str(user)
        self.rbd_pool = utils.convert_str(pool)
        self.rados = kwargs.get('rados', rados)
        self.rbd = kwargs.get('rbd', rbd)
        for name, module in (('rados', self.rados), ('rbd', self.rbd)):
            if module is None:
                raise exception.InvalidParameterValue(err=_('%s module required') % name)
        self.rbd_conf = kwargs.get('conffile', '/etc/ceph/ceph.conf')
        self.rbd_cluster_name = kwargs.get('rbd_cluster_name', 'ceph')
        self.client, self.ioctx = self.connect()

    def __enter__(self) -> 'RBDClient':
        return self

    def __exit__(self, type_: Optional[type[BaseException]], value: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        self.disconnect()

    def connect(self) -> tuple[Any, Any]:
        """Return a new connection to the cluster and to the pool.

        :raises BrickException: there is none
        """
        LOG.debug('Connecting to ceph cluster %(cluster)s as %(user)s',
                  {'cluster': self.rbd_cluster_name, 'user': self.rbd_user})
        client = None
        try:
            client = self.rados.Rados(rados_id=self.rbd_user,
                                      clustername=self.rbd_cluster_name,
                                      conffile=self.rbd_conf)
            client.connect()
            return client, client.open_ioctx(self.rbd_pool)
        except BaseException as exc:
            if client is not None:
                client.shutdown()
            if not isinstance(exc, self.rados.Error):
                raise
            message = _('Error connecting to ceph cluster.')
            LOG.exception(message)
            raise exception.BrickException(message=message) from exc

    def disconnect(self) -> None:
        """Close the connections to the pool and the cluster."""
        try:
            self.ioctx.close()
        finally:
            self.client.shutdown()


class RBDVolume:
    """An open image; what it lacks is looked up in librbd's own object.

    It owns the connection it was opened through.
    """

    def __init__(self, client: RBDClient, name: str, snapshot: Optional[str] = None,
                 read_only: bool = False) -> None:
        """Open an image; if that fails, the connection is closed.

        :raises rbd.Error: as librbd does
        """
        # The caller needs the name, and librbd's object does not have it in every version.
        self.name = name
        self.client = client
        try:
            self.image = client.rbd.Image(client.ioctx, utils.convert_str(name),
                                          snapshot=utils.convert_str(snapshot),
                                          read_only=read_only)
        except BaseException:
            LOG.exception('Cannot open rbd image %s', name)
            client.disconnect()
            raise

    def close(self) -> None:
        """Close the image and the connection."""
        try:
            self.image.close()
        finally:
            self.client.disconnect()

    def __enter__(self) -> 'RBDVolume':
        return self

    def __exit__(self, type_: Optional[type[BaseException]], value: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        self.close()

    def __getattr__(self, attrib: str) -> Any:
        if attrib == 'image':
            # It was never opened: do not look for it in itself.
            raise AttributeError(attrib)
        return getattr(self.image, attrib)


class RBDImageMetadata:
    """An image and how it was reached, for `RBDVolumeIOWrapper`."""

    def __init__(self, image: Any, pool: Optional[str], user: Optional[str],
                 conf: Optional[str]) -> None:
        """Take them; what is missing becomes an empty text.

        :param image: an `rbd.Image` or an `RBDVolume`
        :param conf: path of the configuration file
        """
        self.image = image
        self.pool = utils.convert_str(pool or '')
        self.user = utils.convert_str(user or '')
        self.conf = utils.convert_str(conf or '')


class RBDVolumeIOWrapper(io.RawIOBase):
    """An image as a file: read, write, seek, tell, flush and close.  It has no descriptor."""

    def __init__(self, rbd_volume: RBDImageMetadata) -> None:
        """Begin at the start of the image."""
        super().__init__()
        self._rbd_volume = rbd_volume
        self._offset = 0

    @property
    def rbd_image(self) -> Any:
        """The image."""
        return self._rbd_volume.image

    @property
    def rbd_user(self) -> str:
        """The client's name."""
        return self._rbd_volume.user

    @property
    def rbd_pool(self) -> str:
        """The pool's name."""
        return self._rbd_volume.pool

    @property
    def rbd_conf(self) -> str:
        """The path of the configuration file."""
        return self._rbd_volume.conf

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError(_('I/O operation on closed file.'))

    def readable(self) -> bool:
        """Say yes."""
        return True

    def writable(self) -> bool:
        """Say yes; whether the image was opened for it shows at the first write."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def read(self, length: Optional[int] = None) -> bytes:
        """Return the next bytes, nothing at the end.

        :param length: how many at most; None or a negative number for all
        """
        self._check_open()
        # Unlike a file, librbd fails beyond the end.
        left = max(0, int(self.rbd_image.size()) - self._offset)
        if length is None or length < 0 or length > left:
            length = left
        if not length:
            return b''
        try:
            data = self.rbd_image.read(int(self._offset), int(length))
        except Exception:
            LOG.exception('Reading %(length)s bytes at %(offset)s of the image failed',
                          {'length': length, 'offset': self._offset})
            raise
        # What was not read yet must be there for the next attempt.
        self._offset += len(data)
        return data

    def readall(self) -> bytes:
        """Return everything up to the end."""
        return self.read()

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as the image goes and return how many bytes that were."""
        view = memoryview(buffer).cast('B')
        data = self.read(len(view))
        view[:len(data)] = data
        return len(data)

    def write(self, data: Any) -> int:
        """Write all of the data and return its length.

        :raises rbd.Error: it does not fit, or librbd failed
        """
        self._check_open()
        if isinstance(data, (bytearray, memoryview)):
            # librbd's binding takes bytes only.
            data = bytes(data)
        self.rbd_image.write(data, self._offset)
        self._offset += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move and return the new position, which may be beyond the end.

        :raises OSError: it would be before the start, or `whence` is none of the three
        """
        self._check_open()
        if whence == os.SEEK_SET:
            target = offset
        elif whence == os.SEEK_CUR:
            target = self._offset + offset
        elif whence == os.SEEK_END:
            target = self.rbd_image.size() + offset
        else:
            raise OSError(_('Invalid argument - whence=%s not supported') % whence)
        if target < 0:
            raise OSError(_('Invalid argument'))
        self._offset = target
        return target

    def tell(self) -> int:
        """Return the position."""
        self._check_open()
        return self._offset

    def flush(self) -> None:
        """Bring what was written to the cluster.

        :raises ValueError: this file is closed
        """
        super().flush()
        image = self.rbd_image
        try:
            image.require_not_closed()
        except Exception as exc:
            if rbd is None or not isinstance(exc, rbd.InvalidArgument):
                raise
            # librbd's object can be finalised before this one when both are garbage.
            LOG.warning('Image %s was closed behind the back of the file over it, '
                        'probably by the garbage collection', getattr(image, 'name', '?'))
            return
        try:
            image.flush()
        except AttributeError:
            LOG.warning('This version of librbd has no flush()')

    def fileno(self) -> NoReturn:
        """Say that there is no descriptor.

        :raises io.UnsupportedOperation: the one error HTTP libraries expect here
        """
        raise io.UnsupportedOperation(_('fileno() not supported by RBD()'))

    def close(self) -> None:
        """Flush, then close the image once, also when the flush failed."""
        if self.closed:
            return
        try:
            super().close()
        finally:
            self.rbd_image.close()

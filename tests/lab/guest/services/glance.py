"""The cinder store of Glance, whose Cinder is cinder_api."""

import io

from glance_store._drivers.cinder import store
from glance_store import location
from oslo_config import cfg
from oslo_context import context

from guest.services import cinder_api


class Store(store.Store):
    """The store itself; only whom it asks is another."""

    cinder = None

    def get_cinderclient(self, context=None, version='3.0'):
        return self.cinder


class ImageService:
    """A glance-api with one store."""

    def __init__(self, connections):
        self.store = Store(cfg.CONF)
        self.store.cinder = self.cinder = cinder_api.Cinder(connections, '3.54')
        self.context = context.RequestContext(user_id='user', project_id='project')
        self.context.service_catalog = []

    def add(self, image, text, repeat):
        """Store an image; (URL, bytes, MD5)."""
        data = text.encode() * repeat
        return self.store.add(image, io.BytesIO(data), len(data), 'sha512', context=self.context)[:3]

    def read(self, url, text, repeat):
        """(whether the image is this data, bytes read)."""
        where = location.Location('cinder', store.StoreLocation, cfg.CONF, uri=url)
        chunks, _size = self.store.get(where, context=self.context)
        data = b''.join(chunks)
        return data == text.encode() * repeat, len(data)

    def open(self, name):
        """Open a volume for writing, and leave it so; its size."""
        self.context_of_volume = self.store._open_cinder_volume(self.cinder, self.cinder.volumes.get(name), 'wb')
        self.file = self.context_of_volume.__enter__()
        return self.file.seek(0, io.SEEK_END)

    def extend_and_write(self, name, text):
        """The array has enlarged the volume: write at its new end; its size."""
        self.store.volume_connector_map[name].extend_volume()
        size = self.file.seek(0, io.SEEK_END)
        self.file.seek(size - len(text))
        self.file.write(text.encode())
        return size

    def close(self):
        self.context_of_volume.__exit__(None, None, None)

    def calls(self):
        return self.cinder.calls

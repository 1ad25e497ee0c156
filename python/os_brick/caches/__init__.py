# SPDX-License-Identifier: Apache-2.0
"""Caches on this host's own fast disks in front of attached volumes."""

import abc
from typing import Any, Optional

from oslo_log import log as logging
from oslo_utils import importutils

from os_brick import exception
from os_brick.i18n import _

LOG = logging.getLogger(__name__)

CACHE_ENGINE_TO_CACHE_CLASS_MAP = {
    'opencas': 'os_brick.caches.opencas.OpenCASEngine',
}


class CacheEngineBase(metaclass=abc.ABCMeta):
    """A cache program that takes volumes in and out."""

    def __init__(self, **kwargs: Any) -> None:
        """Take `root_helper`; engines take more."""
        self._root_helper = kwargs.get('root_helper')

    @abc.abstractmethod
    def is_engine_ready(self, **kwargs: Any) -> bool:
        """Tell whether volumes can be cached."""

    @abc.abstractmethod
    def attach_volume(self, **kwargs: Any) -> str:
        """Cache the device `dev_path`; return the device to use in its place."""

    @abc.abstractmethod
    def detach_volume(self, **kwargs: Any) -> str:
        """Take the cached device `dev_path` out of the cache; return the device below."""


class CacheManager:
    """Caches one attached volume, if its connection allows that."""

    def __init__(self, root_helper: Optional[str], connection_info: dict[str, Any],
                 *args: Any, **kwargs: Any) -> None:
        """Find the engine; volumes that are not `cacheable` need none.

        :param connection_info: with `data.device_path` set to the path that the attach
            returned
        :param kwargs: `cache_name` of the engine, and what that takes
        :raises VolumeLocalCacheNotSupported: the volume has no device on this host
        :raises Invalid: the engine is unknown or not ready
        """
        data = connection_info['data']
        self.ori_device_path = data.get('device_path')
        if not self.ori_device_path:
            raise exception.VolumeLocalCacheNotSupported(
                volume_id=data.get('volume_id') or connection_info.get('serial'),
                volume_type=connection_info.get('driver_volume_type'))
        self.cacheable = bool(data.get('cacheable'))
        if not self.cacheable:
            return
        self.root_helper = root_helper
        self.engine_name = kwargs.get('cache_name')
        self.args = args
        self.kwargs = {**kwargs, 'root_helper': root_helper,
                       'dev_path': self.ori_device_path}
        self.engine = self._get_engine(self.engine_name, **self.kwargs)

    def _get_engine(self, engine_name: Optional[str], **kwargs: Any) -> CacheEngineBase:
        class_name = CACHE_ENGINE_TO_CACHE_CLASS_MAP.get(engine_name)
        if class_name:
            engine = importutils.import_class(class_name)(**kwargs)
            if engine.is_engine_ready():
                return engine
        LOG.error('The cache engine %s is unknown or not ready', engine_name)
        raise exception.Invalid(_('No valid cache engine'))

    def attach_volume(self) -> str:
        """Cache the volume; return the device to use, its own if it is not cacheable."""
        if not self.cacheable:
            return self.ori_device_path
        cached = self.engine.attach_volume(**self.kwargs)
        LOG.debug('The volume %(device)s is cached as %(cached)s',
                  {'device': self.ori_device_path, 'cached': cached})
        return cached

    def detach_volume(self) -> str:
        """Take the volume out of the cache; return its own device."""
        if not self.cacheable:
            return self.ori_device_path
        device = self.engine.detach_volume(**self.kwargs)
        LOG.debug('The cached volume %(cached)s is %(device)s again',
                  {'device': device, 'cached': self.ori_device_path})
        return device

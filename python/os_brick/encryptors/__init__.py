# SPDX-License-Identifier: Apache-2.0
"""Which encryptor serves a volume, and what is known about its encryption."""

from typing import Any, Callable, Optional

from oslo_log import log as logging
from oslo_utils import importutils

from os_brick import utils
from os_brick.encryptors import base
from os_brick.encryptors import nop

LOG = logging.getLogger(__name__)

LUKS = 'luks'
LUKS2 = 'luks2'
PLAIN = 'plain'

#: The encryptor of each format that this host, not the storage, encrypts.
FORMAT_TO_FRONTEND_ENCRYPTOR_MAP = {
    LUKS: 'os_brick.encryptors.luks.LuksEncryptor',
    LUKS2: 'os_brick.encryptors.luks.Luks2Encryptor',
    PLAIN: 'os_brick.encryptors.cryptsetup.CryptsetupEncryptor',
}

#: Volume types of old releases name a class of Nova's or of ours instead of a format.
LEGACY_PROVIDER_CLASS_TO_FORMAT_MAP = {
    'nova.volume.encryptors.luks.LuksEncryptor': LUKS,
    'nova.volume.encryptors.cryptsetup.CryptsetupEncryptor': PLAIN,
    'nova.volume.encryptors.nop.NoopEncryptor': None,
    'os_brick.encryptors.luks.LuksEncryptor': LUKS,
    'os_brick.encryptors.cryptsetup.CryptsetupEncryptor': PLAIN,
    'os_brick.encryptors.nop.NoopEncryptor': None,
    'LuksEncryptor': LUKS,
    'CryptsetupEncryptor': PLAIN,
    'NoOpEncryptor': None,
}

_NO_OP = 'os_brick.encryptors.nop.NoOpEncryptor'


def get_volume_encryptor(root_helper: Optional[str], connection_info: dict[str, Any],
                         keymgr: Any, execute: Optional[Callable] = None,
                         *args: Any, **kwargs: Any) -> base.VolumeEncryptor:
    """Make the encryptor of an attached volume.

    :param connection_info: what Cinder answered, with `data.device_path` set to the path
        that the attach returned
    :param keymgr: a key manager of castellan, or anything with its `get`
    :param execute: runs every command; None for os-brick's own
    :param kwargs: the encryption metadata: `control_location`, `provider`,
        `encryption_key_id`, `cipher`, `key_size`; others are ignored
    :returns: one that does nothing unless `control_location` is `front-end`
    :raises VolumeEncryptionNotSupported: the volume has no device on this host
    """
    location = kwargs.get('control_location')
    if location and location.lower() == 'front-end':
        encryptor = _front_end_encryptor(kwargs.get('provider'), root_helper,
                                         connection_info, keymgr, execute, kwargs)
    else:
        encryptor = nop.NoOpEncryptor(root_helper, connection_info, keymgr, execute,
                                      *args, **kwargs)
    LOG.debug('Using volume encryptor %(encryptor)s for connection %(connection_info)s',
              {'encryptor': encryptor, 'connection_info': utils._masked(connection_info)})
    return encryptor


def _front_end_encryptor(provider: Optional[str], root_helper: Optional[str],
                         connection_info: dict[str, Any], keymgr: Any,
                         execute: Optional[Callable],
                         kwargs: dict[str, Any]) -> base.VolumeEncryptor:
    class_name = _class_of(provider)
    try:
        return importutils.import_object(class_name, root_helper, connection_info, keymgr,
                                         execute, **kwargs)
    except Exception as exc:
        LOG.error('Error instantiating %(provider)s: %(exception)s',
                  {'provider': class_name, 'exception': exc})
        raise


def _class_of(provider: Optional[str]) -> str:
    if provider in LEGACY_PROVIDER_CLASS_TO_FORMAT_MAP:
        LOG.warning('The encryption provider %(provider)s is the name of a class, which is '
                    'deprecated; use one of the formats %(formats)s instead.',
                    {'provider': provider,
                     'formats': ', '.join(FORMAT_TO_FRONTEND_ENCRYPTOR_MAP)})
        provider = LEGACY_PROVIDER_CLASS_TO_FORMAT_MAP[provider]
    if provider is None:
        return _NO_OP
    if provider in FORMAT_TO_FRONTEND_ENCRYPTOR_MAP:
        return FORMAT_TO_FRONTEND_ENCRYPTOR_MAP[provider]
    LOG.warning('The encryption provider %(provider)s is not part of os-brick, which is '
                'deprecated.', {'provider': provider})
    return provider


def get_encryption_metadata(context: Any, volume_api: Any, volume_id: str,
                            connection_info: dict[str, Any]) -> dict[str, Any]:
    """Ask for the encryption metadata of a volume, if its connection says it has any.

    :param volume_api: asked by `get_volume_encryption_metadata(context, volume_id)`;
        whatever that raises goes on to the caller
    :returns: an empty dictionary for a volume that is not encrypted
    """
    if not connection_info.get('data', {}).get('encrypted', False):
        return {}
    try:
        metadata = volume_api.get_volume_encryption_metadata(context, volume_id)
    except Exception as exc:
        LOG.error('Failed to retrieve encryption metadata for volume %(volume_id)s: '
                  '%(exception)s', {'volume_id': volume_id, 'exception': exc})
        raise
    if not metadata:
        LOG.warning('Volume %s should be encrypted but there is no encryption metadata.',
                    volume_id)
        return {}
    LOG.debug('Using volume encryption metadata %(metadata)s for connection '
              '%(connection_info)s', {'metadata': utils._masked(metadata),
                                      'connection_info': utils._masked(connection_info)})
    return metadata

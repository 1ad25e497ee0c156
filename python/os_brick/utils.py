# SPDX-License-Identifier: Apache-2.0
"""Decorators and small functions that connectors and their callers share."""

import binascii
from collections.abc import Mapping
import functools
import inspect
import logging as py_logging
import os
import time
from typing import Any, Callable, Optional, Union
import uuid as uuid_lib

from oslo_concurrency import processutils
from oslo_log import log as logging
from oslo_utils import strutils
import tenacity

from os_brick import encrypted_link
from os_brick import executor
from os_brick.i18n import _
from os_brick.privileged import devices as priv_devices
from os_brick.privileged import nvmeof as priv_nvme
from os_brick.privileged import rootwrap as priv_rootwrap

CUSTOM_LINK_PREFIX = encrypted_link.PREFIX

LOG = logging.getLogger(__name__)

_time_sleep = time.sleep


def _sleep(secs: float) -> None:
    """Wait between retries; found anew at each call, so that tests can replace it."""
    _time_sleep(secs)


class retry_if_exit_code(tenacity.retry_if_exception):
    """Retry when a command failed with one of the given exit codes."""

    def __init__(self, codes: Union[int, tuple[int, ...]]) -> None:
        """Take one exit code or several."""
        self.codes = (codes,) if isinstance(codes, int) else codes
        super().__init__(self._check_exit_code)

    def _check_exit_code(self, exc: BaseException) -> bool:
        return (isinstance(exc, processutils.ProcessExecutionError)
                and exc.exit_code in self.codes)


def retry(retry_param: Any, interval: float = 1, retries: int = 3, backoff_rate: float = 2,
          retry: Callable = tenacity.retry_if_exception_type) -> Callable:
    """Make a decorator that calls a function again when it fails.

    :param retry_param: what makes it try again: exception classes, or whatever `retry`
        takes
    :param interval: seconds before the second attempt
    :param retries: attempts in all
    :param backoff_rate: each further wait is this many times as long as the one before
    :param retry: makes the condition from `retry_param`, see `retry_if_exit_code`
    :returns: a decorator; the last exception is the one raised
    :raises ValueError: retries is less than one
    """
    if retries < 1:
        raise ValueError(_('Retries must be greater than or equal to 1 (received: %s). ')
                         % retries)

    def decorate(function: Callable) -> Callable:
        @functools.wraps(function)
        def inner(*args: Any, **kwargs: Any) -> Any:
            retrying = tenacity.Retrying(
                sleep=_sleep,
                before_sleep=tenacity.before_sleep_log(LOG, py_logging.DEBUG),
                after=tenacity.after_log(LOG, py_logging.DEBUG),
                stop=tenacity.stop_after_attempt(retries),
                reraise=True,
                retry=retry(retry_param),
                wait=tenacity.wait_exponential(multiplier=interval, min=0,
                                               exp_base=backoff_rate))
            return retrying(function, *args, **kwargs)
        return inner
    return decorate


def platform_matches(current_platform: str, connector_platform: str) -> bool:
    """Tell whether a connector made for a platform, or for ALL, fits this one."""
    return connector_platform.upper() in ('ALL', current_platform.upper())


def os_matches(current_os: str, connector_os: str) -> bool:
    """Tell whether a connector made for an operating system, or for ALL, fits this one."""
    wanted = connector_os.upper()
    return wanted == 'ALL' or wanted in current_os.upper()


def merge_dict(dict1: dict, dict2: dict) -> dict:
    """Return a new dictionary with the items of both; those of the second win.

    :raises Exception: one of them is no dictionary
    """
    for name, value in (('dict1', dict1), ('dict2', dict2)):
        if type(value) is not dict:
            raise Exception(f'{name} is not a dictionary')
    return {**dict1, **dict2}


def _masked(value: Any, seen: tuple[int, ...] = ()) -> str:
    """Return the repr of a value for a log, secrets masked whatever their nesting."""
    if value is None or isinstance(value, (int, float)):
        return repr(value)
    if not isinstance(value, (Mapping, list, tuple)):
        return strutils.mask_password(repr(value))
    if id(value) in seen:
        return '...'
    seen += (id(value),)
    if isinstance(value, Mapping):
        return '{%s}' % ', '.join(
            f"{key!r}: {repr('***') if _names_a_secret(key) else _masked(item, seen)}"
            for key, item in value.items())
    return '[%s]' % ', '.join(_masked(item, seen) for item in value)


def _names_a_secret(key: Any) -> bool:
    if not isinstance(key, str):
        return False
    return 'keyring' in key.lower() or strutils.mask_dict_password({key: ''})[key] != ''


def trace(f: Callable) -> Callable:
    """Log each call of a function at debug level: arguments, time, and how it ended.

    Secrets are masked.  Put it above all other decorators.  The records go to the logger
    of the module of the object the method belongs to.
    """
    func_name = f.__name__

    @functools.wraps(f)
    def traced(*args: Any, **kwargs: Any) -> Any:
        owner = args[0] if args else kwargs.get('self')
        logger = logging.getLogger(getattr(owner, '__module__', None) or __name__)
        if not logger.isEnabledFor(py_logging.DEBUG):
            return f(*args, **kwargs)

        all_args = _masked(inspect.getcallargs(f, *args, **kwargs))
        # Secrets only the connector can tell from the rest of a value.
        hide_secrets = getattr(type(owner), '_hide_secrets', None)
        logger.debug('==> %(func)s: call %(all_args)s',
                     {'func': func_name,
                      'all_args': hide_secrets(owner, all_args) if hide_secrets else all_args})
        start = time.monotonic()
        try:
            result = f(*args, **kwargs)
        except Exception as exc:
            logger.debug('<== %(func)s: exception (%(time)dms) %(exc)s',
                         {'func': func_name, 'time': (time.monotonic() - start) * 1000,
                          'exc': _masked(exc)})
            raise
        logger.debug('<== %(func)s: return (%(time)dms) %(result)s',
                     {'func': func_name, 'time': (time.monotonic() - start) * 1000,
                      'result': _masked(result)})
        return result
    return traced


def convert_str(text: Any) -> Any:
    """Decode bytes as UTF-8; anything else comes back unchanged."""
    return text.decode('utf-8') if isinstance(text, bytes) else text


def get_host_nqn(system_uuid: Optional[str] = None) -> Optional[str]:
    """Return the NVMe qualified name of this host, creating it the first time.

    :param system_uuid: what to make a new one from
    :returns: None if the file is there and is no text
    """
    try:
        with open('/etc/nvme/hostnqn') as stream:
            return stream.read().strip()
    except OSError:
        return priv_nvme.create_hostnqn(system_uuid)
    except ValueError:
        return None


def get_nvme_host_id(uuid: Optional[str]) -> Optional[str]:
    """Return the NVMe host id of this host, creating it the first time.

    :param uuid: the id to create; a random one if it is None
    :returns: None if the file is there and is no text, or could not be written
    """
    try:
        with open('/etc/nvme/hostid') as stream:
            return stream.read().strip()
    except OSError:
        return priv_nvme.create_hostid(uuid or str(uuid_lib.uuid4()))
    except ValueError:
        return None


# The names callers of the decorators below may know these functions by.
_symlink_name_from_device_path = encrypted_link.name_for
_device_path_from_symlink = encrypted_link.device_path_of


def connect_volume_prepare_result(
        func: Callable[[Any, dict], dict]) -> Callable[[Any, dict], dict]:
    """Hand an encrypted volume out under a link of its own; see `encrypted_link`.

    Decorates connect_volume of connectors written in Python.  It may call
    disconnect_volume, so a lock both take belongs below it.  Volumes that are not
    encrypted, and results whose path is an open file, stay as they are.
    """
    @functools.wraps(func)
    def prepared(self: Any, connection_properties: dict) -> dict:
        result = func(self, connection_properties)
        device_path = convert_str(result['path'])
        if not (connection_properties.get('encrypted') and isinstance(device_path, str)):
            return result
        link = _symlink_name_from_device_path(device_path)
        try:
            priv_rootwrap.link_root(os.path.realpath(device_path), link, force=True)
        except Exception as exc:
            LOG.debug('No link %(link)s, detaching the volume: %(error)s',
                      {'link': link, 'error': exc})
            try:
                self.disconnect_volume(connection_properties, result,
                                       force=True, ignore_errors=True)
            except Exception as again:
                LOG.warning('The volume at %(path)s remains attached: %(error)s',
                            {'path': device_path, 'error': again})
            raise
        result['path'] = link
        return result
    return prepared


def get_dev_path(connection_properties: dict, device_info: Any) -> Any:
    """Return the device that the attach returned, as text unless it is an open file.

    :param connection_properties: may remember it as `device_path`
    :param device_info: what the attach returned; what has no `path` is passed over
    :returns: an empty text if nobody knows it
    """
    path = None
    if device_info and hasattr(device_info, 'get'):
        try:
            path = device_info.get('path')
        except Exception as exc:
            # Some callers pass an object of their own here.
            LOG.debug('The device information has no path: %r', exc)
    return convert_str(path or connection_properties.get('device_path') or '')


def connect_volume_undo_prepare_result(f: Optional[Callable] = None,
                                       unlink_after: bool = False) -> Callable:
    """Give a method the path of an encrypted volume as connect_volume found it.

    The opposite of `connect_volume_prepare_result`, for disconnect_volume and
    extend_volume.  It looks at the names of the arguments, so it belongs directly above
    the method.

    :param unlink_after: remove the link once the method has succeeded
    """
    def decorate(func: Callable) -> Callable:
        @functools.wraps(func)
        def undone(*args: Any, **kwargs: Any) -> Any:
            call_args = inspect.getcallargs(func, *args, **kwargs)
            link = _use_real_path(call_args)
            result = func(**call_args)
            if link and unlink_after:
                try:
                    priv_rootwrap.unlink_root(link)
                except Exception:
                    LOG.warning('Failed to remove encrypted custom symlink %s', link)
            return result
        return undone
    return decorate(f) if f else decorate


def _use_real_path(call_args: dict[str, Any]) -> Optional[str]:
    """Replace the link in the arguments, in copies of them; return it if there is one."""
    properties = call_args['connection_properties']
    if not properties.get('encrypted'):
        return None
    device_info = call_args.get('device_info')
    link = get_dev_path(properties, device_info)
    device_path = _device_path_from_symlink(link)
    # An open file, or a volume attached before links were made.
    if not isinstance(link, str) or link == device_path:
        return None
    call_args['connection_properties'] = {**properties, 'device_path': device_path}
    if isinstance(device_info, Mapping) and device_info:
        call_args['device_info'] = {**device_info, 'path': device_path}
    return link


def _runs_own_verbs(holder: Any) -> bool:
    """Tell whether an executor left the choice of how to work as root to os-brick."""
    return isinstance(holder, executor.Executor) and holder._injected_execute() is None


def get_device_size(executor: 'executor.Executor', device: str) -> Optional[int]:
    """Return the size of a block device in bytes.

    :param executor: runs the command if its caller brought an own `execute`
    :returns: None if the command printed no number
    :raises ProcessExecutionError: the device cannot be opened
    """
    if _runs_own_verbs(executor):
        try:
            return priv_devices.size(device)
        except OSError as exc:
            raise processutils.ProcessExecutionError(
                cmd=f'size of {device}', description=str(exc), stdout='', stderr=str(exc))
    out, _err = executor._execute('blockdev', '--getsize64', device, run_as_root=True,
                                  root_helper=executor._root_helper)
    text = str(out).strip()
    return int(text) if text.isnumeric() else None


def check_valid_device(executor: 'executor.Executor', path: str) -> bool:
    """Tell whether the first sector of a device can be read by root.

    :param executor: runs the command if its caller brought an own `execute`
    """
    if _runs_own_verbs(executor):
        error = priv_devices.read_error(path)
    else:
        error = _dd_error(executor, path)
    if error is None:
        return True
    LOG.error('Failed to access the device on the path %(path)s: %(error)s.',
              {'path': path, 'error': error})
    return False


def _dd_error(executor: 'executor.Executor', path: str) -> Optional[str]:
    try:
        _out, info = executor._execute('dd', f'if={path}', 'of=/dev/null', 'count=1',
                                       run_as_root=True, root_helper=executor._root_helper)
    except processutils.ProcessExecutionError as exc:
        return exc.stderr or str(exc)
    return 'dd said nothing' if info is None else None


def get_passphrase_from_secret(key: Any) -> str:
    """Return the text that opens an encrypted volume, from a secret of the key manager.

    A secret of type `passphrase` is that text.  Any other holds a binary key, of which
    the hexadecimal form is used, as Cinder does when it creates the volume.

    :param key: a `castellan.common.objects.managed_object.ManagedObject`
    """
    encoded = key.get_encoded()
    if key.managed_type() == 'passphrase':
        LOG.debug('The secret is a passphrase and used as it is')
        return encoded.decode('utf-8')
    LOG.debug('The secret is a binary key and used in hexadecimal')
    return binascii.hexlify(encoded).decode('utf-8')


class Anything:
    """Compares equal to everything, and in no order to anything."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    def __str__(self) -> str:
        return '<Anything>'

    __lt__ = __gt__ = __le__ = __ge__ = __ne__
    __repr__ = __str__


#: Stands for any value where one has to be compared.
ANY = Anything()

# SPDX-License-Identifier: Apache-2.0
"""What only root may do for PowerFlex: ask the kernel client (SDC), and read the account.

The account is read in the context whose log is kept out of the service's.
"""

import configparser
from contextlib import contextmanager
from fcntl import ioctl
import os
import struct
from typing import Iterator, Optional
import uuid

from os_brick import exception
from os_brick import privileged

SCINI_DEVICE_PATH = '/dev/scini'


class _Secret(str):
    """A text that shows itself as asterisks: privsep logs what an entrypoint returns."""

    def __repr__(self) -> str:
        return "'***'"


@contextmanager
def open_scini_device() -> Iterator[int]:
    """Open the control device of the SDC for the time of a `with` block.

    :raises OSError: the SDC is not installed, or not loaded
    """
    descriptor = os.open(SCINI_DEVICE_PATH, os.O_RDWR | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@privileged.default.entrypoint
def get_guid(op_code: int) -> str:
    """Return the GUID the SDC of this host is known by.

    :param op_code: the number of the ioctl
    :raises OSError: there is no SDC
    :raises ValueError: it has no GUID yet
    """
    with open_scini_device() as descriptor:
        answer = ioctl(descriptor, op_code, struct.pack('QQQ', 0, 0, 0))
    # The GUID stands behind a return code of eight bytes.
    guid = uuid.UUID(bytes=answer[8:])
    if not guid.int:
        raise ValueError('the SDC has no GUID')
    return str(guid)


@privileged.default.entrypoint
def rescan_vols(op_code: int) -> None:
    """Let the SDC ask which volumes it has, and how large they are.

    :param op_code: the number of the ioctl
    :raises OSError: there is no SDC, or it cannot ask
    """
    with open_scini_device() as descriptor:
        ioctl(descriptor, op_code, struct.pack('Q', 0))


@privileged.brick_privsep_hide_output.entrypoint
def get_connector_username_password(filename: str, config_group: str,
                                    failed_over: bool) -> tuple[Optional[str], str]:
    """Return the user name and the password of a gateway.

    :param filename: the configuration file of the connector
    :param config_group: the section of the storage backend
    :param failed_over: take the account of the system that replicates
    :returns: None as the user name if the file has none, as it had not in older releases
    :raises BrickException: without any of the file's text, which is secret
    """
    conf = _read(filename)
    prefix = 'replicating_' if failed_over else ''
    if config_group != conf.default_section and not conf.has_section(config_group):
        raise exception.BrickException(f'there is no section {config_group} in {filename}')
    password = _value(conf, config_group, f'{prefix}san_password')
    if password is None:
        raise exception.BrickException(
            f'there is no {prefix}san_password in the section {config_group} of {filename}')
    return _value(conf, config_group, f'{prefix}san_username'), _Secret(password)


def _read(filename: str) -> configparser.ConfigParser:
    if not os.path.isfile(filename):
        raise exception.BrickException(
            f'ScaleIO connector configuration file is not found in path {filename}.')
    conf = configparser.ConfigParser()
    try:
        with open(filename, encoding='utf-8') as stream:
            conf.read_file(stream)
    except (configparser.Error, UnicodeDecodeError) as exc:
        # Both carry text of the file.
        where = getattr(exc, 'lineno', None) or ', '.join(
            str(number) for number, _line in getattr(exc, 'errors', ()))
        raise exception.BrickException(
            f'{filename} is no configuration file: {type(exc).__name__}'
            + (f' in line {where}' if where else '')) from None
    return conf


def _value(conf: configparser.ConfigParser, section: str, key: str) -> Optional[str]:
    """Return a value; a percent sign that is no valid reference stands for itself."""
    try:
        return conf.get(section, key, fallback=None)
    except configparser.InterpolationError:
        return conf.get(section, key, raw=True)

# SPDX-License-Identifier: Apache-2.0
"""The options of the [os_brick] section of a service's configuration."""

from typing import Any

from oslo_config import cfg

_opts = [
    cfg.StrOpt('lock_path',
               default=None,
               help='Directory of the lock files of os-brick. All services of a host that '
                    'attach volumes (compute, volume, backup, image) must use the same one. '
                    'When unset, the lock_path of [oslo_concurrency] is used, which is '
                    'right for a host that runs a single such service.'),
    cfg.IntOpt('wait_mpath_device_attempts',
               default=4,
               min=1,
               help='How many times to look whether a new multipath device is ready for '
                    'I/O. See also wait_mpath_device_interval.'),
    cfg.IntOpt('wait_mpath_device_interval',
               default=1,
               min=1,
               help='Seconds that scale the time given to a new multipath device to become '
                    'ready for I/O. The time between two attempts doubles, beginning with '
                    'twice this value; the number of attempts is '
                    'wait_mpath_device_attempts.'),
    cfg.FloatOpt('portal_grace_period',
                 default=2.0,
                 min=0,
                 help='Seconds that an attach with a working multipath device waits for '
                      'portals that have not answered yet. Their logins go on in the '
                      'background; a portal that failed in the last five minutes is not '
                      'waited for.'),
    cfg.BoolOpt('enforce_identity',
                default=False,
                help='Refuse to attach a volume whose device reports another identity than '
                     'the connection properties name. When false, the difference is '
                     'logged as a warning.'),
    cfg.StrOpt('attachment_record_path',
               default=None,
               help='Directory in which every attach and detach over iSCSI, Fibre Channel '
                    'and NVMe-oF is written down, without secrets, so that what a crash '
                    'left half done can be told from what is in use. An absolute path that '
                    'leads over no symbolic link, to a directory that only root may write; '
                    'its last part is made when it is missing. When unset, nothing is '
                    'written down.'),
    cfg.BoolOpt('luks_format_stale_volumes',
                default=False,
                help='Let an encryptor format a volume for its first use that begins with '
                     'data of an unknown format. They may be all that is left to see of a '
                     'volume in use, so it is refused when false. Set it for storage '
                     'whose new volumes begin with the data of deleted ones.'),
]

cfg.CONF.register_opts(_opts, group='os_brick')


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """List the options for the sample configuration file generator."""
    return [('os_brick', _opts)]


def set_defaults(conf: Any = cfg.CONF) -> None:
    """Let [os_brick] lock_path default to the one of oslo.concurrency.

    :param conf: a configuration whose files have been read
    """
    # Registers [oslo_concurrency] lock_path, which a service need not have done yet.
    from oslo_concurrency import lockutils  # noqa: F401
    conf.set_default('lock_path', conf.oslo_concurrency.lock_path, 'os_brick')

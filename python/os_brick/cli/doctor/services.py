# SPDX-License-Identifier: Apache-2.0
"""The configuration files of the services of the host, as far as os-brick is concerned."""

import dataclasses
import os
import re
from typing import Optional

from oslo_config import cfg
from oslo_config import iniparser

from os_brick.cli.doctor.host import Host
from os_brick.cli.doctor.host import Unreadable

#: Where services keep theirs.
KNOWN = ('/etc/nova/nova.conf', '/etc/cinder/cinder.conf', '/etc/glance/glance-api.conf', '/etc/os-brick/os-brick.conf')

_VARIABLE = re.compile(r'\$(?:\{(\w+)\}|(\w+))')


@dataclasses.dataclass
class Service:
    """A configuration file."""

    file: str
    #: Why it cannot be read.
    fault: Optional[str] = None
    _sections: dict[str, dict[str, list[str]]] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        """The service's name: `nova` of /etc/nova/nova.conf."""
        return os.path.basename(os.path.dirname(self.file))

    def value(self, section: str, option: str) -> str:
        """Return an option with the variables of its value replaced, empty if it is not set."""
        text = (self._sections.get(section, {}).get(option) or [''])[-1]

        def replaced(match: re.Match) -> str:
            name = match[1] or match[2]
            known = self._sections.get('DEFAULT', {}).get(name)
            if known:
                return known[-1]
            # Its default is the place where packages put it.
            return f'/var/lib/{self.name}' if name == 'state_path' else match[0]
        return _VARIABLE.sub(replaced, text)

    @property
    def lock_path(self) -> str:
        """The lock directory of os-brick, empty if there is none."""
        return self.value('os_brick', 'lock_path') or self.value('oslo_concurrency', 'lock_path')

    @property
    def helper_command(self) -> str:
        """What starts the privileged helper, empty for the service's root helper."""
        return self.value('privsep_osbrick', 'helper_command')


def _read(host: Host, file: str) -> Service:
    service = Service(file)
    try:
        if host.text(file) is None:
            return Service(file, fault=f'{file} is missing')
        cfg.ConfigParser(host.path(file), service._sections).parse()
    except Unreadable as exc:
        service.fault = str(exc)
    except (iniparser.ParseError, UnicodeDecodeError) as exc:
        # The text may hold a password: only the place of the mistake is shown.
        line = getattr(exc, 'lineno', None)
        service.fault = f'{file} cannot be parsed' + (f', line {line}' if line else '')
    return service


def _attaches(service: Service) -> bool:
    """Tell whether a service may attach volumes: Glance does when it keeps images in Cinder."""
    if service.name != 'glance' or service.fault:
        return True
    stores = service.value('DEFAULT', 'enabled_backends') + service.value('glance_store', 'stores')
    return 'cinder' in stores


def of(host: Host) -> list[Service]:
    """Return the services whose files were named, or those that attach among those whose files are there."""
    if host.config_files:
        return [_read(host, file) for file in host.config_files]
    return [service for service in (_read(host, file) for file in KNOWN if host.is_file(file)) if _attaches(service)]

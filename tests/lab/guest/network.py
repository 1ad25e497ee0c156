"""Makes portals refuse or swallow connections, by one nftables table the lab owns.

`refuse` answers with a reset (like a host where nobody listens), also to connections that exist; `black_hole`
drops every packet. The whole table is rewritten on each change, so its state is what this object says.
"""

from guest import command

TABLE = 'table inet lab'


class Firewall:
    def __init__(self):
        self.rules = {}

    def refuse(self, portal):
        self.rules[portal] = 'reject with tcp reset'
        self._load()

    def black_hole(self, portal):
        self.rules[portal] = 'drop'
        self._load()

    def restore(self, *portals):
        """Let these portals answer again; without arguments all of them."""
        for portal in portals or list(self.rules):
            self.rules.pop(portal, None)
        self._load()

    def _load(self):
        lines = []
        for portal, verdict in self.rules.items():
            address, port = split_portal(portal)
            family = 'ip6' if ':' in address else 'ip'
            lines.append(f'{family} daddr {address} tcp dport {port} {verdict}')
            lines.append(f'{family} saddr {address} tcp sport {port} {verdict}')
        body = '\n'.join('    ' + line for line in lines)
        # `add` before `delete` makes the deletion succeed on the first load, too; nft applies a file as one change.
        text = f'add {TABLE}\ndelete {TABLE}\n'
        if lines:
            text += f'{TABLE} {{\n  chain input {{\n    type filter hook input priority 0;\n{body}\n  }}\n}}\n'
        command.run('nft', '-f', '-', stdin=text)


def split_portal(portal):
    address, _, port = portal.rpartition(':')
    return address.strip('[]'), port

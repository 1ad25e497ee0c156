"""The real thing from scratch: a service process and a privileged daemon started by sudo, nothing preloaded.

Also the boundary's facts: results come back as lists, exceptions with their message, logs of the daemon arrive.
"""

LEDGER = ('PX-01', 'PX-07', 'PX-08')
MODES = ('nova',)
SECONDS = 60
UPSTREAM_LEAVES = 'the line in the wwids file'


def run(lab):
    target = lab.targets.create(portals=2)
    disk, properties = target.luns[1], target.properties(1)
    caller = lab.caller(cold=True)
    connector = caller.connector('ISCSI', use_multipath=True)
    pids = caller.helper_pids()
    lab.check('a privileged daemon serves', bool(pids), caller.log_text()[-500:])
    status = lab.host.read(f'/proc/{pids[0]}/status').splitlines() if pids else []
    capabilities = [int(line.split()[1], 16) for line in status if line.startswith('CapEff')]
    lab.equal('with two capabilities (SYS_ADMIN, DAC_READ_SEARCH)', capabilities, [1 << 21 | 1 << 2])
    answer = connector.connect_volume(properties)
    lab.measured('connect', answer.seconds)
    lab.check_right_disk('attached', answer.value['path'], disk)
    paths = connector.get_volume_paths(properties).value
    lab.check('get_volume_paths is a list', isinstance(paths, list) and paths, repr(paths))
    lab.detach(connector, properties, answer.value)
    error = lab.raises('an exception keeps its class and message',
                       connector.start('connect_volume', dict(properties, addressing_mode='SAM-9')), 'BrickException')
    if error:
        lab.check('the message names the value', 'SAM-9' in error.message, error.message)

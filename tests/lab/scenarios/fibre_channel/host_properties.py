"""What the connector tells Cinder of this host: the names of its ports and nodes, as upstream does."""

LEDGER = ('FC-21', 'FC-22')
SECONDS = 20


def run(lab):
    array = lab.array(2)
    answer = lab.caller().call('os_brick.initiator.connector:get_connector_properties', 'sudo', '10.0.0.1', True, False)
    lab.equal('wwpns', sorted(answer.value.get('wwpns', [])),
              sorted([fabric.initiator for fabric in array.fabrics] + [fabric.wwpn for fabric in array.fabrics]))
    lab.equal('as many wwnns', len(answer.value.get('wwnns', [])), 4)

"""Asks the host compute1 as any oslo.messaging program would: URL ID."""
import json
import sys
import uuid

import kombu
import oslo_messaging as messaging
from oslo_config import cfg
from oslo_messaging._metrics import client as metrics

url, transfer = sys.argv[1:]
conf = cfg.ConfigOpts()
conf([])
# Registered for the global configuration only, which this script does not use.
conf.register_opts(metrics.oslo_messaging_metrics, group='oslo_messaging_metrics')
transport = messaging.get_rpc_transport(conf, url=url)
conf.set_override('amqp_durable_queues', True, group='oslo_messaging_rabbit')
target = messaging.Target(exchange='backstay', topic='datamover', server='compute1', version='2.0')
client = messaging.RPCClient(transport, target, timeout=20)
print('answer', client.call({}, 'transfer_show', id=transfer)['transfer']['id'])
try:
    client.call({}, 'no_such_method')
except messaging.RemoteError as error:
    print('failure', type(error).__name__, error)

message = {'method': 'transfer_show', 'args': {'id': transfer}, 'version': '2.0',
           '_unique_id': uuid.uuid4().hex}
body = {'oslo.version': '2.0', 'oslo.message': json.dumps(message)}
with kombu.Connection(url.replace('rabbit://', 'amqp://').rstrip('/') + '//') as connection:
    producer = connection.Producer()
    for _ in range(2):
        producer.publish(body, exchange='backstay', routing_key='datamover.compute1')

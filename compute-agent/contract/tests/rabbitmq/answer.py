"""Serves the host python1 with oslo.messaging: URL."""
import sys
import time

import oslo_messaging as messaging
from oslo_config import cfg

conf = cfg.ConfigOpts()
conf([])
transport = messaging.get_rpc_transport(conf, url=sys.argv[1])
conf.set_override('amqp_durable_queues', True, group='oslo_messaging_rabbit')


class Datamover:
    target = messaging.Target(version='2.0')

    def transfer_show(self, context, id):
        progress = dict.fromkeys(
            ('total_bytes', 'done_bytes', 'read_since_start_bytes', 'bytes_per_second'), 0)
        return {'transfer': {'id': id, 'epoch': 1, 'state': {'state': 'queued'},
                             'progress': progress}}


target = messaging.Target(exchange='backstay', topic='datamover', server='python1')
server = messaging.get_rpc_server(transport, target, [Datamover()], executor='threading')
server.start()
time.sleep(600)

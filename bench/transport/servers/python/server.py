"""A CSMS on the Python packages `ocpp` and `websockets`, as their manuals show it, with payload checks on (the default)."""

import argparse
import asyncio
import resource
import ssl
from datetime import datetime, timezone

from ocpp.routing import on
from ocpp.v201 import ChargePoint, call_result
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


def now():
    return datetime.now(timezone.utc).isoformat()


class Station(ChargePoint):
    @on("BootNotification")
    def on_boot_notification(self, **_):
        return call_result.BootNotification(current_time=now(), interval=300, status="Accepted")

    @on("Heartbeat")
    def on_heartbeat(self, **_):
        return call_result.Heartbeat(current_time=now())

    @on("TransactionEvent")
    def on_transaction_event(self, **_):
        return call_result.TransactionEvent()


async def connected(connection):
    try:
        await Station(connection.request.path.strip("/"), connection).start()
    except ConnectionClosed:
        pass


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    arguments = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    context = None
    if arguments.certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(arguments.certificate, arguments.key)
    async with serve(connected, "0.0.0.0", 0, subprotocols=["ocpp2.0.1"], ssl=context, backlog=4096) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()


asyncio.run(main())

"""A station or a central system on the Python package `ocpp`, for the tests of ocpp-transport.

Prints one JSON line per step: {"step": ..., "result": ...}. The caller checks them.
"""

import argparse
import asyncio
import base64
import importlib
import json
import logging
from datetime import datetime, timezone

from ocpp.exceptions import OCPPError, SecurityError
from ocpp.routing import on
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

PACKAGES = {"ocpp1.6": "ocpp.v16", "ocpp2.0.1": "ocpp.v201", "ocpp2.1": "ocpp.v21"}


def report(step, result):
    print(json.dumps({"step": step, "result": result}), flush=True)


def now():
    return datetime.now(timezone.utc).isoformat()


def boot_request(protocol, call):
    if protocol == "ocpp1.6":
        return call.BootNotification(charge_point_model="Python", charge_point_vendor="Interop")
    return call.BootNotification(
        charging_station={"model": "Python", "vendor_name": "Interop"}, reason="PowerUp"
    )


def peer_class(protocol):
    """The answers of this end, in the classes of the version."""
    package = importlib.import_module(PACKAGES[protocol])
    results = package.call_result

    class Peer(package.ChargePoint):
        @on("BootNotification")
        def on_boot_notification(self, **_):
            return results.BootNotification(current_time=now(), interval=300, status="Accepted")

        @on("Heartbeat")
        def on_heartbeat(self, **_):
            return results.Heartbeat(current_time=now())

        @on("TriggerMessage")
        def on_trigger_message(self, requested_message, **_):
            report("triggered", requested_message)
            return results.TriggerMessage(status="Accepted")

        @on("DataTransfer")
        def on_data_transfer(self, vendor_id, **_):
            if vendor_id == "secret":
                raise SecurityError("not for you")
            raise ValueError("a handler with a bug")

    return Peer, package.call


class Wire:
    """A connection that the package reads. The sender of a raw frame gets its answer."""

    def __init__(self, connection):
        self.connection = connection
        self.answers = asyncio.Queue()

    async def recv(self):
        while True:
            text = await self.connection.recv()
            frame = json.loads(text)
            if frame[0] in (2, 6) or not (str(frame[1]).startswith("raw-") or frame[1] == "-1"):
                return text
            self.answers.put_nowait(frame)

    async def send(self, text):
        await self.connection.send(text)

    async def raw(self, text):
        await self.connection.send(text)
        return await asyncio.wait_for(self.answers.get(), 15)


async def converse(arguments, connection, protocol):
    """The whole conversation. It ends when the other end closes the connection."""
    Peer, call = peer_class(protocol)
    wire = Wire(connection)
    peer = Peer(arguments.identity, wire)
    running = asyncio.create_task(peer.start())

    async def ask(step, request, field):
        try:
            response = await peer.call(request, suppress=False)
            report(step, getattr(response, field))
        except OCPPError as error:
            report(step, error.code)

    try:
        if arguments.role == "station":
            await ask("boot", boot_request(protocol, call), "status")
            await ask("heartbeat", call.Heartbeat(), "current_time")
        else:
            await ask("trigger", call.TriggerMessage(requested_message="Heartbeat"), "status")
            await ask("refused trigger", call.TriggerMessage(requested_message="BootNotification"), "status")
        for frame in arguments.raw:
            report("raw", await wire.raw(frame))
        report("ready", True)
        await running
    finally:
        running.cancel()


async def station(arguments):
    credentials = base64.b64encode(f"{arguments.identity}:{arguments.password}".encode()).decode()
    async with connect(
        f"{arguments.url}/{arguments.identity}",
        subprotocols=[arguments.protocol],
        additional_headers={"Authorization": f"Basic {credentials}"},
    ) as connection:
        report("connected", connection.subprotocol)
        await converse(arguments, connection, connection.subprotocol)


async def central_system(arguments):
    over = asyncio.get_running_loop().create_future()

    async def connected(connection):
        report("connected", connection.subprotocol)
        report("path", connection.request.path)
        report("authorization", connection.request.headers["Authorization"])
        try:
            await converse(arguments, connection, connection.subprotocol)
        finally:
            over.set_result(None)

    async with serve(connected, "127.0.0.1", 0, subprotocols=[arguments.protocol]) as server:
        report("listening", server.sockets[0].getsockname()[1])
        await over


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["station", "csms"])
    parser.add_argument("--protocol", choices=PACKAGES, required=True)
    parser.add_argument("--url")
    parser.add_argument("--identity", default="CS001")
    parser.add_argument("--password")
    parser.add_argument("--raw", action="append", default=[], help="a frame to send as it is; reports the answer")
    arguments = parser.parse_args()
    # The package logs the traceback of each error that these tests provoke.
    logging.disable(logging.CRITICAL)
    await (station(arguments) if arguments.role == "station" else central_system(arguments))


asyncio.run(main())

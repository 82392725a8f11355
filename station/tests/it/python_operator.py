"""A CSMS on the package `ocpp` that does what it is told: a JSON line on standard input is a call, `{"action": …, "payload": …}`,
or a new password for the station, `{"password": …}`. The package checks both the call and the station's answer against their schemas.

Prints one JSON line per step: {"step": ..., "result": ...}. The caller judges them.
"""

import argparse
import asyncio
import base64
import contextlib
import datetime
import json
import ssl
import sys

from ocpp.charge_point import camel_to_snake_case, snake_to_camel_case
from ocpp.routing import on
from ocpp.v201 import ChargePoint, call, call_result
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


def report(step, result):
    print(json.dumps({"step": step, "result": result}), flush=True)


class Station(ChargePoint):
    """The station as this CSMS sees it."""

    @on("BootNotification")
    def on_boot(self, reason, **_):
        report("boot", reason)
        now = datetime.datetime.now(datetime.timezone.utc)
        return call_result.BootNotification(current_time=now.isoformat(), interval=60, status="Accepted")

    @on("Heartbeat")
    def on_heartbeat(self):
        report("heartbeat", True)
        now = datetime.datetime.now(datetime.timezone.utc)
        return call_result.Heartbeat(current_time=now.isoformat())

    @on("SecurityEventNotification")
    def on_security_event(self, type, **_):
        report("security event", type)
        return call_result.SecurityEventNotification()

    @on("NotifyReport")
    def on_report(self, **payload):
        report("report", snake_to_camel_case(payload))
        return call_result.NotifyReport()

    @on("SignCertificate")
    def on_sign_certificate(self, csr, **_):
        report("sign certificate", csr)
        return call_result.SignCertificate(status="Accepted")


async def main():
    parser = argparse.ArgumentParser()
    for name in ("server-chain", "server-key", "ca", "identity", "password"):
        parser.add_argument(f"--{name}", required=True)
    arguments, _ = parser.parse_known_args()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments.server_chain, arguments.server_key)
    context.load_verify_locations(arguments.ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    password = arguments.password
    station = None

    def on_request(connection, request):
        if connection.transport.get_extra_info("peercert"):
            return None
        header = request.headers.get("Authorization", " ").split(" ", 1)[1]
        user, _, given = base64.b64decode(header).decode().partition(":")
        if (user, given) != (arguments.identity, password):
            report("refused", True)
            return connection.respond(401, "")

    async def on_connection(connection):
        nonlocal station
        station = Station(arguments.identity, connection)
        report("connected", 3 if connection.transport.get_extra_info("peercert") else 2)
        try:
            await station.start()
        except ConnectionClosed as closed:
            # The package gives up where it cannot answer any more; what the station said before it closed counts.
            with contextlib.suppress(ConnectionClosed):
                while True:
                    message = await connection.recv()
                    with contextlib.suppress(ConnectionClosed):
                        await station.route_message(message)
            report("disconnected", repr(closed))

    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with serve(on_connection, "localhost", 0, ssl=context, subprotocols=["ocpp2.0.1"], process_request=on_request) as server:
        report("listening", server.sockets[0].getsockname()[1])
        async for line in reader:
            command = json.loads(line)
            if "password" in command:
                password = command["password"]
                report("password", True)
                continue
            try:
                request = getattr(call, command["action"])(**camel_to_snake_case(command["payload"]))
                answer = await station.call(request, suppress=False)
                report("answer", snake_to_camel_case(vars(answer)))
            except Exception as error:
                report("answer", {"error": repr(error)})


asyncio.run(main())

"""A CSMS on the package `ocpp` that reads its commands from standard input, one JSON object per line, and answers each with a step:

{"action": …, "payload": …}     a call; `answer` is the answer, or {"error": …}
{"password": …}                 the password that is accepted from now on
{"passwordHex": …}              the same, as bytes (AuthorizationKey of OCPP 1.6)
{"behave": ACTION, "as": …}     how to answer a request of the station from now on, `times` of them if that is given:
                                null: as usual; "silent": not at all; {"payload": …}, {"error": CODE, "raw": TEXT with $ID}
{"issue": …}                    a certificate, see python_pki.py
{"hash": …}                     the hash data of a certificate, see python_pki.py
{"listen": NAME, "port": …}     on a further port, with NAME.pem and NAME.key as server certificate
{"present": NAME, "port": …}    another server certificate on a port, for connections from now on
{"shut": PORT}                  stop listening there, and close its connections
{"refuse": [SERIAL, …]}         HTTP 403 for clients with one of these certificates; "all" for any
{"deny": [PORT, …]}             HTTP 503 for clients of this port
{"trust": NAME}                 clients may also have certificates under this root
{"close": true}                 close the connection to the station
{"send": TEXT}                  send a frame as it is
{"frames": true}                all frames so far, each with its time

A request of the station is a step with the name of its action and its payload, a connection the step `connection`.

The package checks requests and answers of both sides against their schemas; a violation is reported as the step `violation`.
Prints one JSON line per step: {"step": …, "result": …, "at": seconds of a monotonic clock}. The caller checks them.
"""

import argparse
import asyncio
import base64
import contextlib
import datetime
import functools
import importlib
import json
import ssl
import sys
import time
import urllib.request

import ocpp.exceptions
import python_pki
from ocpp.charge_point import camel_to_snake_case, snake_to_camel_case
from ocpp.messages import MessageType
from ocpp.routing import on
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

# Subprotocol and module of the package.
VERSIONS = {"1.6": ("ocpp1.6", "ocpp.v16"), "2.0.1": ("ocpp2.0.1", "ocpp.v201"), "2.1": ("ocpp2.1", "ocpp.v21")}

def report(step, result):
    print(json.dumps({"step": step, "result": result, "at": time.monotonic()}), flush=True)


def timestamp():
    return datetime.datetime.now(datetime.timezone.utc).isoformat()


class Csms:
    """The behaviour of this CSMS, and its observations."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.subprotocol, module = VERSIONS[arguments.version]
        self.calls = importlib.import_module(f"{module}.call")
        self.results = importlib.import_module(f"{module}.call_result")
        self.station_class = station_class(self, importlib.import_module(module).ChargePoint)
        self.password = arguments.password.encode()
        self.behaviours = {}
        self.errors_to_send = 0
        self.refused = []
        self.denied = []
        self.frames = []
        self.station = None
        self.connections = 0
        self.listeners = {}

    @functools.cached_property
    def responder(self):
        return python_pki.Responder()

    # Connections

    async def listen(self, name, port=0):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{name}.pem", f"{name}.key")
        context.load_verify_locations(self.arguments.ca)
        context.verify_mode = ssl.CERT_OPTIONAL
        listener = await serve(
            self.on_connection,
            "localhost",
            port,
            ssl=context,
            subprotocols=[self.subprotocol],
            process_request=self.on_request,
        )
        port = listener.sockets[0].getsockname()[1]

        def on_hello(*_):
            report("knock", port)

        context.sni_callback = on_hello
        self.listeners[port] = (listener, context)
        report("listening", port)

    def on_request(self, connection, request):
        port = connection.transport.get_extra_info("sockname")[1]
        if port in self.denied:
            report("denied", port)
            return connection.respond(503, "")
        certificate = connection.transport.get_extra_info("peercert")
        if certificate:
            serial = certificate["serialNumber"].lower().lstrip("0")
            if self.refused == "all" or serial in self.refused:
                report("certificate refused", serial)
                return connection.respond(403, "")
            return None
        header = request.headers.get("Authorization", " ").split(" ", 1)[1]
        user, _, given = base64.b64decode(header).partition(b":")
        if (user, given) != (self.arguments.identity.encode(), self.password):
            report("refused", True)
            return connection.respond(401, "")

    async def on_connection(self, connection):
        certificate = connection.transport.get_extra_info("peercert")
        self.connections += 1
        number = self.connections
        subject = {key: value for part in (certificate or {}).get("subject", ()) for key, value in part}
        details = {
            "number": number,
            "port": connection.transport.get_extra_info("sockname")[1],
            "profile": 3 if certificate else 2,
            "serial": certificate["serialNumber"].lower().lstrip("0") if certificate else None,
            "cn": subject.get("commonName"),
        }
        station = self.station = self.station_class(self.arguments.identity, connection)
        station.number = number
        self.note(number, "begin", "")
        report("connection", details)
        receive = connection.recv

        async def recv():
            """Frames that are answered by a behaviour, or not at all, do not reach the package."""
            while True:
                text = await receive()
                self.note(number, "station", text)
                if not await self.behave(connection, number, text):
                    return text

        connection.recv = recv
        try:
            await station.start()
        except ConnectionClosed as closed:
            # The package stops if it cannot answer any more. The messages that the station sent
            # before it closed are still handled.
            with contextlib.suppress(ConnectionClosed):
                while True:
                    message = await connection.recv()
                    with contextlib.suppress(ConnectionClosed):
                        await station.route_message(message)
            self.note(number, "end", "")
            report("disconnected", repr(closed))

    def note(self, connection, sender, text):
        self.frames.append({"at": time.monotonic(), "connection": connection, "from": sender, "text": text})

    # Answers

    async def behave(self, connection, number, text):
        """Whether the frame was handled here, in a way that the package does not support."""
        with contextlib.suppress(ValueError, IndexError, TypeError):
            frame = json.loads(text)
            behaviour = self.behaviours.get(frame[2]) if frame[0] == MessageType.Call else None
            if behaviour is None or not (behaviour["as"] == "silent" or "raw" in behaviour["as"]):
                return False
            self.used(frame[2])
            report(frame[2], frame[3])
            if behaviour["as"] != "silent":
                answer = behaviour["as"]["raw"].replace("$ID", frame[1])
                self.note(number, "csms", answer)
                await connection.send(answer)
            return True
        return False

    def used(self, action):
        """Returns the behaviour for an action, and decrements its `times`."""
        behaviour = self.behaviours.get(action)
        if behaviour is None:
            return None
        if behaviour["times"] is not None:
            behaviour["times"] -= 1
            if behaviour["times"] == 0:
                del self.behaviours[action]
        return behaviour["as"]

    async def answer(self, action, payload):
        """The answer to a request of the station, which was valid against its schema."""
        told = snake_to_camel_case(payload)
        behaviour = self.used(action)
        try:
            if behaviour is None:
                given = await getattr(self, f"on_{action}", self.empty)(payload)
            elif "error" in behaviour:
                errors = [value for value in vars(ocpp.exceptions).values() if isinstance(value, type)]
                code = behaviour["error"]
                self.errors_to_send += 1
                raise next(error for error in errors if getattr(error, "code", None) == code)("as it was told")
            else:
                given = camel_to_snake_case(behaviour["payload"])
            return getattr(self.results, action)(**given)
        finally:
            report(action, told)

    async def empty(self, _):
        return {}

    async def on_BootNotification(self, _):
        return {"current_time": timestamp(), "interval": 60, "status": "Accepted"}

    async def on_Heartbeat(self, _):
        return {"current_time": timestamp()}

    async def on_SignCertificate(self, _):
        return {"status": "Accepted"}

    async def on_GetCertificateStatus(self, payload):
        """M06: asks the responder that the station names, and returns its response."""
        data = payload["ocsp_request_data"]
        request = urllib.request.Request(
            data["responder_url"], python_pki.ocsp_request(data), {"Content-Type": "application/ocsp-request"}
        )
        try:
            response = await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=5).read())
        except OSError as error:
            report("no responder", repr(error))
            return {"status": "Failed"}
        return {"status": "Accepted", "ocsp_result": base64.b64encode(response).decode()}

    # Commands

    async def obey(self, command):
        if "action" in command:
            try:
                request = getattr(self.calls, command["action"])(**camel_to_snake_case(command["payload"]))
                answer = await self.station.call(request, suppress=False)
                report("answer", snake_to_camel_case(vars(answer)))
            except Exception as error:
                report("answer", {"error": repr(error)})
        elif "password" in command:
            self.password = command["password"].encode()
            report("password", True)
        elif "passwordHex" in command:
            self.password = bytes.fromhex(command["passwordHex"])
            report("password", True)
        elif "behave" in command:
            if command["as"] is None:
                self.behaviours.pop(command["behave"], None)
            else:
                self.behaviours[command["behave"]] = {"as": command["as"], "times": command.get("times")}
            report("behave", True)
        elif "issue" in command:
            wanted = command["issue"]
            report("issued", python_pki.issue(wanted, self.responder if "ocsp" in wanted else None))
        elif "hash" in command:
            report("hash", python_pki.hash_data(command["hash"]))
        elif "listen" in command:
            await self.listen(command["listen"], command.get("port", 0))
        elif "present" in command:
            name = command["present"]
            self.listeners[command["port"]][1].load_cert_chain(f"{name}.pem", f"{name}.key")
            report("presented", name)
        elif "shut" in command:
            listener, _ = self.listeners.pop(command["shut"])
            listener.close()
            await listener.wait_closed()
            report("shut", True)
        elif "refuse" in command:
            self.refused = command["refuse"]
            report("refuse", True)
        elif "deny" in command:
            self.denied = command["deny"]
            report("deny", True)
        elif "trust" in command:
            for _, context in self.listeners.values():
                context.load_verify_locations(f"{command['trust']}.pem")
            report("trust", True)
        elif "close" in command:
            await self.station._connection.close()
            report("closed", True)
        elif "send" in command:
            self.note(self.station.number, "csms", command["send"])
            await self.station._connection.send(command["send"])
            report("sent", True)
        elif "frames" in command:
            report("frames", self.frames)


def station_class(csms, base):
    """The station as this CSMS sees it: every request that the package knows is answered by `Csms.answer`."""

    def handler(action):
        async def handle(self, **payload):
            return await csms.answer(action, payload)

        # The package finds its handlers by these names.
        handle.__name__ = f"on_{action}"
        return on(action)(handle)

    class Station(base):
        async def _send(self, message):
            frame = json.loads(message)
            csms.note(self.number, "csms", message)
            if frame[0] == MessageType.CallError:
                if csms.errors_to_send:
                    csms.errors_to_send -= 1
                else:
                    report("violation", message)
            await super()._send(message)

    for action in (name for name in vars(csms.results) if name[:1].isupper()):
        setattr(Station, f"on_{action}", handler(action))
    return Station


async def main():
    parser = argparse.ArgumentParser()
    for name in ("server", "ca", "identity", "password"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--version", choices=VERSIONS, default="2.0.1")
    arguments = parser.parse_args()
    csms = Csms(arguments)
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await csms.listen(arguments.server)
    async for line in reader:
        await csms.obey(json.loads(line))


asyncio.run(main())

"""Peers of the tests of permessage-deflate, on the library `websockets`.

deflate_peer.py client URL CASES: connects once for each case and has its CALLs echoed.
deflate_peer.py server CASES: listens on one port for each case and echoes CALLs.

CASES is a JSON array of objects with the parameters of the extension. Each line of output is a JSON object.
"""

import asyncio
import base64
import json
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)

OCPP = "ocpp2.0.1"
AUTHORIZATION = "Basic " + base64.b64encode(b"CS001:correct horse battery").decode()

decode = PerMessageDeflate.decode


def counting_decode(self, frame, *, max_size=None):
    self.compressed_frames = getattr(self, "compressed_frames", 0) + bool(frame.rsv1)
    return decode(self, frame, max_size=max_size)


PerMessageDeflate.decode = counting_decode


def report(**line):
    print(json.dumps(line), flush=True)


def compressed(connection):
    return sum(getattr(extension, "compressed_frames", 0) for extension in connection.protocol.extensions)


def payloads():
    yield "short"
    for size in (300, 3000, 40000):
        yield ('{"measurand":"Energy.Active.Import.Register","value":"1234.5","unité":"Wh"},' * size)[:size]
    # Data that hardly compresses.
    yield base64.b64encode(bytes((i * i * 31 + i * 7 + (i >> 3) * 113) % 251 for i in range(20000))).decode()


async def client(url, case):
    bomb = case.pop("bomb", False)
    fragments = case.pop("fragments", False)
    extension = ClientPerMessageDeflateFactory(**case, compress_settings={"memLevel": 8})
    async with connect(
        url,
        extensions=[extension],
        compression=None,
        subprotocols=[OCPP],
        additional_headers={"Authorization": AUTHORIZATION},
        proxy=None,
    ) as connection:
        answer = connection.response.headers.get("Sec-WebSocket-Extensions")
        if bomb:
            try:
                await connection.send("x" * 10_000_000)
                await connection.recv()
            except ConnectionClosed as closed:
                report(answer=answer, closed=closed.rcvd.code if closed.rcvd else None)
            return
        echoed = 0
        # Twice, so that with context takeover the second message refers to the first.
        for number, data in enumerate([*payloads(), *payloads()]):
            call = json.dumps([2, str(number), "DataTransfer", {"vendorId": "echo", "data": data}], ensure_ascii=False)
            third = len(call) // 3
            parts = [call[:third], call[third : 2 * third], call[2 * third :]]
            await connection.send(parts if fragments else call)
            kind, _, payload = json.loads(await connection.recv())
            assert kind == 3 and payload["data"] == data, (kind, number)
            echoed += 1
        report(answer=answer, echoed=echoed, compressed=compressed(connection))


async def echo(number, connection):
    offer = connection.request.headers.get("Sec-WebSocket-Extensions")
    try:
        async for message in connection:
            _, id, _, payload = json.loads(message)
            if payload["vendorId"] == "bomb":
                await connection.send("x" * 10_000_000)
            else:
                answer = [3, id, {"status": "Accepted", "data": payload["data"]}]
                await connection.send(json.dumps(answer, ensure_ascii=False))
    except ConnectionClosed:
        pass
    await connection.wait_closed()
    report(case=number, offer=offer, compressed=compressed(connection), closed=connection.close_code)


async def server(cases):
    ports = []
    for number, case in enumerate(cases):
        listening = await serve(
            lambda connection, number=number: echo(number, connection),
            "127.0.0.1",
            0,
            extensions=[ServerPerMessageDeflateFactory(**case)],
            compression=None,
            subprotocols=[OCPP],
        )
        ports.append(listening.sockets[0].getsockname()[1])
    report(ports=ports)
    await asyncio.Future()


async def main():
    cases = json.loads(sys.argv[-1])
    if sys.argv[1] == "server":
        await server(cases)
    for case in cases:
        await client(sys.argv[2], case)


asyncio.run(main())

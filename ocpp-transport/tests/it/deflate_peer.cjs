// Peers of the tests of permessage-deflate, on the library `ws`; as deflate_peer.py.
//
// CASES is a JSON array of the option `perMessageDeflate` of `ws`.
"use strict";

const { WebSocket, WebSocketServer } = require(`${process.env.OCPP_NODE_MODULES}/ws`);

const OCPP = "ocpp2.0.1";
const AUTHORIZATION = `Basic ${Buffer.from("CS001:correct horse battery").toString("base64")}`;

const report = (line) => console.log(JSON.stringify(line));

function* payloads() {
  yield "short";
  const text = '{"measurand":"Energy.Active.Import.Register","value":"1234.5","unité":"Wh"},';
  for (const size of [300, 3000, 40000]) yield text.repeat(size).slice(0, size);
  // Data that hardly compresses.
  yield Buffer.from(Array.from({ length: 20000 }, (_, i) => (i * i * 31 + i * 7 + (i >> 3) * 113) % 251)).toString("base64");
}

// Counts the compressed messages. ws reports the compression of the first frame of each message.
function countCompressed(socket) {
  const receiver = socket._receiver;
  const dataMessage = receiver.dataMessage;
  let compressed = 0;
  receiver.dataMessage = function (...args) {
    compressed += this._compressed ? 1 : 0;
    return dataMessage.apply(this, args);
  };
  return () => compressed;
}

function client(url, options) {
  const { bomb, fragments, ...perMessageDeflate } = options;
  return new Promise((resolve, reject) => {
    let answer = null;
    let compressed;
    const all = [...payloads(), ...payloads()];
    let next = 0;
    const socket = new WebSocket(url, [OCPP], { perMessageDeflate, headers: { Authorization: AUTHORIZATION } });
    socket.on("upgrade", (response) => (answer = response.headers["sec-websocket-extensions"] ?? null));
    const call = () => {
      const text = JSON.stringify([2, String(next), "DataTransfer", { vendorId: "echo", data: all[next] }]);
      if (!fragments) return socket.send(text);
      const third = Math.floor(text.length / 3);
      socket.send(text.slice(0, third), { fin: false });
      socket.ping();
      socket.send(text.slice(third, 2 * third), { fin: false });
      socket.send(text.slice(2 * third), { fin: true });
    };
    socket.on("open", () => {
      compressed = countCompressed(socket);
      if (bomb) socket.send("x".repeat(10_000_000));
      else call();
    });
    socket.on("message", (message) => {
      const [kind, , payload] = JSON.parse(message.toString());
      if (kind !== 3 || payload.data !== all[next]) return reject(new Error(`${kind} ${next}`));
      next += 1;
      if (next < all.length) return call();
      report({ answer, echoed: next, compressed: compressed() });
      socket.close();
    });
    socket.on("close", (code) => {
      if (bomb) report({ answer, closed: code });
      resolve();
    });
    // The event "close" reports the end, too.
    socket.on("error", (error) => (bomb ? undefined : reject(error)));
  });
}

async function server(cases) {
  const ports = [];
  for (const [number, perMessageDeflate] of cases.entries()) {
    const listening = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate, handleProtocols: () => OCPP });
    await new Promise((resolve) => listening.on("listening", resolve));
    ports.push(listening.address().port);
    listening.on("connection", (socket, request) => {
      const offer = request.headers["sec-websocket-extensions"] ?? null;
      const compressed = countCompressed(socket);
      socket.on("message", (message) => {
        const [, id, , payload] = JSON.parse(message.toString());
        if (payload.vendorId === "bomb") return socket.send("x".repeat(10_000_000));
        socket.send(JSON.stringify([3, id, { status: "Accepted", data: payload.data }]));
      });
      socket.on("error", () => {});
      socket.on("close", (code) => report({ case: number, offer, compressed: compressed(), closed: code }));
    });
  }
  report({ ports });
}

async function main() {
  const cases = JSON.parse(process.argv.at(-1));
  if (process.argv[2] === "server") return server(cases);
  for (const options of cases) await client(process.argv[3], options);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});

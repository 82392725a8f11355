// A station and a CSMS on the library `ocpp-rpc` in its strict mode, which checks each payload in
// both directions.
//
// node ocpp_rpc_peer.cjs station PROTOCOL URL PASSWORD
// node ocpp_rpc_peer.cjs csms PROTOCOL PASSWORD
//
// Prints one JSON array for each step: its name and its result.
"use strict";

const library = `${process.env.OCPP_NODE_MODULES}/ocpp-rpc`;
const { RPCClient, RPCServer, createRPCError, createValidator } = require(library);

const [role, protocol, ...rest] = process.argv.slice(2);
const step = (name, result) => console.log(JSON.stringify([name, result]));

const boot =
  protocol === "ocpp1.6"
    ? { chargePointModel: "Node", chargePointVendor: "Interop" }
    : { reason: "PowerUp", chargingStation: { model: "Node", vendorName: "Interop" } };

// The package's schemas of 2.1 have other names than its validator looks for.
const named = (name) => name.replace(/Request$/, ".req").replace(/Response$/, ".conf");
const schemas = require(`${library}/lib/schemas/ocpp2_1.json`);
const renamed = schemas.map((schema) => ({ ...schema, $id: named(schema.$id) }));
const strict = { strictMode: true, strictModeValidators: [createValidator("ocpp2.1", renamed)] };

// The code of the CALLERROR that answers a call.
const refusal = (call) => call.then(() => "accepted", (error) => error.rpcErrorCode);

async function station(endpoint, password) {
  const client = new RPCClient({
    endpoint,
    identity: "CS001",
    password,
    protocols: [protocol],
    ...strict,
    reconnect: false,
  });
  client.on("strictValidationFailure", (event) => step("invalid", String(event.error)));
  client.handle("TriggerMessage", ({ params }) => {
    setImmediate(() => step("triggered", params.requestedMessage));
    return { status: "Accepted" };
  });
  client.handle("DataTransfer", () => {
    throw createRPCError("SecurityError", "not for you", {});
  });
  client.on("close", ({ code }) => step("closed", code));
  await client.connect();
  step("connected", client.protocol);
  step("boot", (await client.call("BootNotification", boot)).status);
  step("heartbeat", (await client.call("Heartbeat", {})).currentTime);
  step("unsupported", await refusal(client.call("ClearCache", {})));
}

async function csms(password) {
  const server = new RPCServer({ protocols: [protocol], ...strict });
  server.auth((accept, reject, handshake) => {
    const good = handshake.identity === "CS001" && String(handshake.password) === password;
    return good ? accept({}) : reject(401);
  });
  server.on("client", async (client) => {
    client.on("strictValidationFailure", (event) => step("invalid", String(event.error)));
    client.handle("BootNotification", () => ({
      status: "Accepted",
      currentTime: "2026-01-01T00:00:00.000Z",
      interval: 300,
    }));
    client.handle("Heartbeat", () => ({ currentTime: "2026-01-01T00:00:00.000Z" }));
    client.handle("DataTransfer", () => {
      throw createRPCError("SecurityError", "not for you", {});
    });
    client.on("close", ({ code }) => {
      step("closed", code);
      server.close();
    });
    step("connected", client.protocol);
    step("trigger", (await client.call("TriggerMessage", { requestedMessage: "Heartbeat" })).status);
    step("unsupported", await refusal(client.call("ClearCache", {})));
  });
  const http = await server.listen(0, "127.0.0.1");
  step("listening", http.address().port);
}

(role === "station" ? station(...rest) : csms(...rest)).catch((error) => {
  console.error(error);
  process.exit(1);
});

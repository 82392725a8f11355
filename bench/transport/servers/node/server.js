// A CSMS on the Node package `ocpp-rpc`, as its manual shows it, in strict mode: payloads are
// checked against the schemas.
const { readFileSync } = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const { parseArgs } = require('node:util');
const { RPCServer } = require('ocpp-rpc');

const { values } = parseArgs({ options: { certificate: { type: 'string' }, key: { type: 'string' } } });

const server = new RPCServer({ protocols: ['ocpp2.0.1'], strictMode: true });
const now = () => new Date().toISOString();
server.auth((accept) => accept());
server.on('client', (client) => {
  client.handle('BootNotification', () => ({ status: 'Accepted', interval: 300, currentTime: now() }));
  client.handle('Heartbeat', () => ({ currentTime: now() }));
  client.handle('TransactionEvent', () => ({}));
});

const listener = values.certificate
  ? https.createServer({ cert: readFileSync(values.certificate), key: readFileSync(values.key) })
  : http.createServer();
listener.on('upgrade', server.handleUpgrade);
listener.listen({ host: '0.0.0.0', port: 0, backlog: 4096 }, () => console.log(listener.address().port));

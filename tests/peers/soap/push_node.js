#!/usr/bin/env node
// Pushes messages with npm's soap, on one connection. What is sent, and when again, is written in README.md and messages.py.
"use strict";

const fs = require("fs");
const http = require("http");
const https = require("https");
const soap = require("soap");

const PAUSE_MS = 200;
const GIVE_UP_MS = Number(process.env.SOAP_GIVE_UP_S || 60) * 1000;
const ANSWER_MS_MAX = 30_000;
const FIRST_MOVE_MS = Date.UTC(2024, 0, 1);

const soap12 = process.env.SOAP_VERSION === "1.2";
const oneWay = process.env.ONE_WAY === "1";

const file = (name) => process.env[name] && fs.readFileSync(process.env[name]);

const transport = {
  httpAgent: new http.Agent({ keepAlive: true, maxSockets: 1 }),
  httpsAgent: new https.Agent({
    keepAlive: true,
    maxSockets: 1,
    ca: file("SOAP_CA"),
    // With ClientSSLSecurity the client could not say its password too: it takes one security alone.
    cert: file("SOAP_CERTIFICATE"),
    key: file("SOAP_KEY"),
  }),
  timeout: ANSWER_MS_MAX,
  // A proxy of this machine's environment has no say in a test.
  proxy: false,
};

class Refused extends Error {}
class Unanswered extends Error {}

function quantity(n, i) {
  return String((n % 1000) + (((i - 1) % 7) + 1) / 8);
}

function movements(batchNo, n, count) {
  return Array.from({ length: count }, (_, index) => index + 1).map((i) => ({
    Id: `${batchNo}-${i}`,
    Sku: `SKU-${i % 100}`,
    Location: `Süd & ${n % 20}`,
    Quantity: quantity(n, i),
    MovedAt: new Date(FIRST_MOVE_MS + n * 1000).toISOString(),
  }));
}

function lines(n, count) {
  return Array.from({ length: count }, (_, index) => index + 1).map((i) => ({
    LineNo: i,
    Sku: `SKU-${i % 100}`,
    Quantity: quantity(n, i),
  }));
}

// The fault's code is text in 1.1, and lies deeper in 1.2; either may have come with attributes beside it.
function codeAndText(fault) {
  const plain = (value) => (value && typeof value === "object" ? value.$value : value);
  return fault.Code
    ? [plain(fault.Code.Value), plain(fault.Reason && fault.Reason.Text)]
    : [plain(fault.faultcode), plain(fault.faultstring)];
}

function judge(error, status) {
  const body = error.root && error.root.Envelope && error.root.Envelope.Body;
  if (body && body.Fault) {
    const [code, text] = codeAndText(body.Fault);
    const first = String(code).split(":").pop().split(".")[0];
    if (first === "Server" || first === "Receiver") throw new Unanswered(`${code}: ${text}`);
    throw new Refused(`${code}: ${text}`);
  }
  const text = error.message || "not SOAP";
  judgeStatus(status, text);
  throw new Unanswered(text);
}

function judgeStatus(status, text) {
  if (status >= 400 && status < 500 && status !== 408 && status !== 429) throw new Refused(`HTTP ${status}: ${text}`);
  if (status >= 300) throw new Unanswered(`HTTP ${status}: ${text}`);
}

function secure(client) {
  const { SOAP_USER: user, SOAP_PASSWORD: password = "", SOAP_TOKEN: kind } = process.env;
  if (user === undefined) return;
  if (kind === "basic") return client.setSecurity(new soap.BasicAuthSecurity(user, password));
  const passwordType = kind === "digest" ? "PasswordDigest" : "PasswordText";
  client.setSecurity(new soap.WSSecurity(user, password, { passwordType, hasNonce: true, hasTimeStamp: true }));
}

async function connect(url) {
  const options = { wsdl_options: transport, forceSoap12Headers: soap12 };
  const client = await soap.createClientAsync(url, options).catch((error) => judge(error, undefined));
  secure(client);
  let status;
  client.on("response", (_body, response) => (status = response && response.status));
  const name = soap12 ? "WmsEvents12" : "WmsEvents11";
  const port = client.WmsEvents[name];
  const rpc = "Movements" in client.describe().WmsEvents[name].PutMovements.input;

  // `forever` asks for a lasting connection: the library's own header would be lost beside these options.
  const ask = (operation, message) =>
    new Promise((resolve, reject) => {
      status = undefined;
      const answered = (error, result) => (error ? reject(error) : resolve(result));
      port[operation](message, answered, { ...transport, forever: true });
    }).catch((error) => judge(error, status));

  return async (batchNo, n, count) => {
    if (oneWay) {
      await ask("ReportShipment", { ShipNo: batchNo, Line: lines(n, count) });
      // The library calls a one-way message sent whatever the status says.
      judgeStatus(status, "no answer in SOAP");
      return;
    }
    const moved = movements(batchNo, n, count);
    const result = await ask("PutMovements", {
      BatchNo: batchNo,
      ...(rpc ? { Movements: { Movement: moved } } : { Movement: moved }),
    });
    if (!result || !result.Accepted) throw new Unanswered("the answer accepts nothing");
  };
}

async function keepTrying(attempt) {
  const started = Date.now();
  for (let retried = 0; ; retried++) {
    try {
      return [await attempt(), retried];
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
      if (Date.now() - started > GIVE_UP_MS) throw new Refused(`gave up after ${GIVE_UP_MS / 1000} s: ${error.message}`);
      console.error(`again: ${error.message}`);
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

async function main([url, ...numbers]) {
  const [first, count, perMessage] = numbers.map(Number);
  const [send] = await keepTrying(() => connect(url));
  let retried = 0;
  for (let n = first; n < first + count; n++) {
    retried += (await keepTrying(() => send(`node-${n}`, n, perMessage)))[1];
  }
  console.log(`sent ${count} retried ${retried}`);
}

main(process.argv.slice(2)).then(
  // The kept connection would keep the program alive too.
  () => process.exit(0),
  (error) => {
    console.error(error instanceof Refused ? error.message : error);
    process.exit(1);
  },
);

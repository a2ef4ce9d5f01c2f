#!/usr/bin/env node
// A warehouse system made with npm's soap, to be polled for movements, at /movements and in SOAP 1.1.
// Command line, environment, data and pages are those of serve_spyne.py.
"use strict";

const fs = require("fs");
const http = require("http");
const path = require("path");
const soap = require("soap");

const FIRST_MOVE_MS = Date.UTC(2024, 0, 1);
const SAME_SECOND = 3;
const PAGE_SIZE = 100;
const PAGE_SIZE_MAX = 1000;

const TOTAL = Number(process.env.TOTAL || 1000);
const FAULTS = new Map((process.env.FAULTS || "").split(",").map((fault) => fault.split(":")));

const EMPTY =
  '<?xml version="1.0"?><e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body/></e:Envelope>';
const PAGE_OF_HTML =
  "<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1><hr></body></html>";

function movedAt(index) {
  const time = new Date(FIRST_MOVE_MS + Math.floor(index / SAME_SECOND) * 1000);
  return time.toISOString().replace(".000Z", "Z");
}

function movement(index) {
  return {
    Id: `mv-${String(index + 1).padStart(6, "0")}`,
    Sku: `SKU-${index % 100}`,
    Quantity: String((index % 1000) + ((index % 7) + 1) / 8),
    MovedAt: movedAt(index),
  };
}

// Without a status the library sends a fault with 200, as many servers made with it do.
function refusal(code, text, statusCode) {
  return { Fault: { faultcode: `soap:${code}`, faultstring: text, statusCode } };
}

function firstSince(since) {
  if (!since) return 0;
  const seconds = Math.ceil((Date.parse(since) - FIRST_MOVE_MS) / 1000);
  if (Number.isNaN(seconds)) throw refusal("Client.BadSince", `${since} is no time`);
  return Math.max(0, seconds) * SAME_SECOND;
}

function listMovements({ Since, Page, PageSize }, _answer, _headers, request) {
  request.asked = `Since=${Since || ""} Page=${Page || ""} PageSize=${PageSize || ""}`;
  if (request.fault) throw refusal(request.fault, "as the test wants it", 500);
  const page = Page || 1;
  const size = PageSize || PAGE_SIZE;
  if (page < 1 || size < 1 || size > PAGE_SIZE_MAX) throw refusal("Client.BadLimit", `PageSize is 1 to ${PAGE_SIZE_MAX}`);
  const start = firstSince(Since) + (page - 1) * size;
  const end = Math.min(start + size, TOTAL);
  const found = [];
  for (let index = start; index < end; index++) found.push(movement(index));
  return {
    Movements: { Movement: found },
    NextPage: found.length && end < TOTAL ? String(page + 1) : "",
    Watermark: found.length ? movedAt(end - 1) : Since || "",
  };
}

// Counts the requests, puts the wanted faults in, and tells of each answer.
function withFaults(listener) {
  let requests = 0;
  return (request, response) => {
    if (request.method !== "POST") return listener(request, response);
    const number = ++requests;
    const fault = FAULTS.get(String(number));
    response.on("finish", () => {
      const line = `request ${number} ${request.asked || "-"} answered ${response.statusCode} ${fault || ""}`;
      console.error(line.trimEnd());
    });
    if (fault === "empty") return answer(request, response, 200, "text/xml; charset=utf-8", EMPTY);
    if (fault === "html") return answer(request, response, 502, "text/html", PAGE_OF_HTML);
    request.fault = fault;
    return listener(request, response);
  };
}

function answer(request, response, status, kind, text) {
  // Unread, the request would be in the way of the next one on this connection.
  request.resume().on("end", () => response.writeHead(status, { "Content-Type": kind }).end(text));
}

const server = http.createServer();
server.listen(Number(process.argv[2]), "127.0.0.1", () => {
  const { port } = server.address();
  // The library serves the address in the WSDL as it stands.
  const wsdl = fs
    .readFileSync(path.join(__dirname, "movements.wsdl"), "utf8")
    .replace("http://localhost/", `http://127.0.0.1:${port}/`);
  const callback = () => {
    const [listener] = server.listeners("request");
    server.removeAllListeners("request").on("request", withFaults(listener));
    console.log(`listening ${port}`);
  };
  const services = { MovementService: { Movements: { ListMovements: listMovements } } };
  soap.listen(server, { path: "/movements", services, xml: wsdl, callback });
});

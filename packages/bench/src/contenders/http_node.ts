// A server with node:http, or by Hono on it; or the files of a folder.
//
// Usage: http_node <plain|hono|json|down|up|read|stream> [folder]

import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";
import { printLine } from "../contender.js";
import { large, record, text } from "./http_answers.js";

const [form = "plain", folder = "."] = process.argv.slice(2);
const app = new Hono();
app.get("/", (context) => context.text(text));

const forms: Record<string, () => RequestListener> = {
  plain: () => (_request, response) => {
    response.setHeader("content-type", "text/plain");
    response.end(text);
  },
  hono: () => getRequestListener(app.fetch),
  json: () => (_request, response) => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(record));
  },
  down: () => (_request, response) => {
    response.setHeader("content-type", "application/octet-stream");
    response.setHeader("content-length", large.length);
    response.end(large);
  },
  up: () => (request, response) => {
    let length = 0;
    request.on("data", (piece: Buffer) => {
      length += piece.length;
    });
    request.on("end", () => response.end(String(length)));
  },
  read: () => (request, response) => {
    readFile(`${folder}${request.url}`).then(
      (bytes) => response.end(bytes),
      () => response.destroy(),
    );
  },
  stream: () => (request, response) => {
    createReadStream(`${folder}${request.url}`).pipe(response);
  },
};

const server = createServer({ keepAliveTimeout: 0 }, forms[form]!());
server.listen({ host: "127.0.0.1", port: 0, backlog: 4096 }, () => {
  printLine((server.address() as AddressInfo).port);
});

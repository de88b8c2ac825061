// A server with @io/http: in the plain form, by fetch, or by Hono; or a folder.
//
// Usage: http_ours <plain|fetch|hono|json|json_fetch|down|up|up_fetch|files> [folder]

import { FieldBlock, files, type ServeOptions, serve } from "@io/http";
import { Hono } from "hono";
import { printLine } from "../contender.js";
import { large, record, text } from "./http_answers.js";

const [form = "plain", folder = "."] = process.argv.slice(2);
const plain = new FieldBlock({ "content-type": "text/plain" });
const json = new FieldBlock({ "content-type": "application/json" });
const binary = new FieldBlock({ "content-type": "application/octet-stream" });
const app = new Hono();
app.get("/", (context) => context.text(text));

const forms: Record<string, () => ServeOptions> = {
  plain: () => ({ request: (exchange) => exchange.respond(200, plain, text) }),
  fetch: () => ({ fetch: () => new Response(text) }),
  hono: () => ({ fetch: app.fetch as NonNullable<ServeOptions["fetch"]> }),
  json: () => ({ request: (exchange) => exchange.respond(200, json, JSON.stringify(record)) }),
  json_fetch: () => ({ fetch: () => Response.json(record) }),
  down: () => ({ request: (exchange) => exchange.respond(200, binary, large) }),
  up: () => ({
    async request(exchange) {
      let length = 0;
      await exchange.body.forEachChunk((chunk) => {
        length += chunk.length;
      });
      exchange.respond(200, plain, String(length));
    },
  }),
  up_fetch: () => ({
    fetch: async (request) => new Response(String((await request.arrayBuffer()).byteLength)),
  }),
  files: () => ({ request: files(folder) }),
};

const limits = { idleTimeoutMs: 0 };
const server = await serve({ ...forms[form]!(), port: 0, limits, backlog: 4096 });
if (server.address.family !== "unix") printLine(server.address.port);

// A server with fastify on node:http. Its JSON is made by the schema, which is its fastest way.
//
// Usage: http_fastify <plain|json|down|up>

import type { AddressInfo } from "node:net";
import { fastify } from "fastify";
import { printLine } from "../contender.js";
import { large, record, text } from "./http_answers.js";

const [form = "plain"] = process.argv.slice(2);
const app = fastify({ logger: false, keepAliveTimeout: 0, bodyLimit: 1 << 20 });

/** The schema of a value: of a list that of its first element. */
function schemaOf(value: unknown): object {
  if (Array.isArray(value)) return { type: "array", items: schemaOf(value[0]) };
  if (typeof value !== "object" || value === null) return { type: typeof value };
  const properties = Object.entries(value).map(([name, one]) => [name, schemaOf(one)]);
  return { type: "object", properties: Object.fromEntries(properties) };
}

const forms: Record<string, () => void> = {
  plain: () => app.get("/", (_request, reply) => reply.type("text/plain").send(text)),
  json: () => {
    const schema = { response: { 200: schemaOf(record) } };
    app.get("/", { schema }, (_request, reply) => reply.send(record));
  },
  down: () => app.get("/", (_request, reply) => reply.type("application/octet-stream").send(large)),
  up: () => {
    app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) =>
      done(null, body),
    );
    app.post("/", (request, reply) =>
      reply.type("text/plain").send(String((request.body as Buffer).length)),
    );
  },
};

forms[form]!();
await app.listen({ host: "127.0.0.1", port: 0, backlog: 4096 });
const address = app.server.address();
printLine((address as AddressInfo).port);

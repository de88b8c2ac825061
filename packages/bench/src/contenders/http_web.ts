// A server with Bun.serve in Bun, and with Deno.serve in Deno.
//
// Usage: http_web <plain|json|down|up>

import { large, record, text } from "./http_answers.js";

type Handler = (request: Request) => Response | Promise<Response>;

interface Runtimes {
  Bun?: {
    serve(options: { hostname: string; port: number; idleTimeout: number; fetch: Handler }): {
      port: number;
    };
  };
  Deno?: {
    serve(
      options: { hostname: string; port: number; onListen: () => void },
      handler: Handler,
    ): { addr: { port: number } };
  };
}

const form = process.argv[2] ?? "plain";
const forms: Record<string, Handler> = {
  plain: () => new Response(text),
  json: () => Response.json(record),
  down: () => new Response(large),
  async up(request) {
    return new Response(String((await request.arrayBuffer()).byteLength));
  },
};
const fetch = forms[form]!;
const { Bun, Deno } = globalThis as unknown as Runtimes;
const where = { hostname: "127.0.0.1", port: 0 };
// No time limit: connections that wait are part of what is measured.
const port =
  Bun?.serve({ ...where, idleTimeout: 0, fetch }).port ??
  Deno?.serve({ ...where, onListen: () => undefined }, fetch).addr.port;
process.stdout.write(`${port}\n`);

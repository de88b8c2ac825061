// Random clients against random handlers: each answer is that of its request, complete or cut off
// by the end of the connection, each request has one line in the log, and nothing stays behind.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { IO } from "@io/core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Client, turn } from "./client.test.support.js";
import {
  type Answered,
  type Exchange,
  fileResponse,
  type Limits,
  type RequestHandler,
  type ServeOptions,
  serve,
} from "./index.js";

const test = suite("random clients");
// HTTP_ROUNDS=100 is a long run.
const rounds = Number(process.env["HTTP_ROUNDS"] ?? 5);
const seed = Number(process.env["HTTP_SEED"] ?? Date.now() % 1_000_000_000);
const CLIENTS = 24;

const folder = mkdtempSync(`${tmpdir()}/io-http-random-`);
const fileBytes = Buffer.alloc(300_000, "file ");
writeFileSync(`${folder}/file`, fileBytes);
test.after(() => rmSync(folder, { recursive: true }));

let state = seed;
function below(limit: number): number {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * limit);
}

function pick<T>(choices: readonly T[]): T {
  return choices[below(choices.length)]!;
}

/** What the answer to a request says, so that it is known of which one it is. */
function textFor(id: string): string {
  return `${id};`.repeat(1 + ((Number(id) * 37) % 2000));
}

async function turns(count: number): Promise<void> {
  for (let left = count; left > 0; left--) await turn();
}

type Handler = (one: Exchange, id: string) => unknown;

const plain: Record<string, Handler> = {
  now: (one, id) => one.respond(200, null, textFor(id)),
  async later(one, id) {
    await turns(Number(id) % 5);
    // The request is its own still, whatever has come on other connections.
    one.respond(200, null, textFor(one.field("x-id") ?? "another"));
  },
  async pieces(one, id) {
    const text = textFor(id);
    one.begin(200, null, Number(id) % 2 === 0 ? text.length : null);
    for (let at = 0; at < text.length; at += 900) await one.write(text.slice(at, at + 900));
    one.end();
  },
  async whole(one, id) {
    await one.body.bytes();
    one.respond(200, null, textFor(id));
  },
  async text(one, id) {
    await turns(1);
    await one.body.text();
    one.respond(200, null, textFor(id));
  },
  async some(one, id) {
    await one.body.next();
    one.respond(200, null, textFor(id));
  },
  async borrowed(one, id) {
    await one.body.forEachChunk(() => undefined);
    one.respond(200, null, textFor(id));
  },
};

/** Those that do not give the whole answer. */
const broken: Record<string, Handler> = {
  throws() {
    throw new Error("as asked");
  },
  async throwsLater(one) {
    await one.body.next();
    throw new Error("as asked");
  },
  async throwsWithin(one, id) {
    one.begin(200, null, 1e6);
    await one.write(textFor(id));
    throw new Error("as asked");
  },
  short(one) {
    one.begin(200, null, 1e6);
    one.end();
  },
  goes: (one) => one.destroy(),
  hangs: (one) => new Promise((go) => one.signal.addEventListener("abort", go)),
  async twice(one, id) {
    one.respond(200, null, textFor(id));
    await turns(3);
    one.respond(200, null, "not this");
  },
};

type Web = (request: Request, id: string) => Response | Promise<Response>;

const web: Record<string, Web> = {
  now: (_, id) => new Response(textFor(id)),
  async later(request) {
    await request.text();
    return new Response(textFor(request.headers.get("x-id") ?? "another"));
  },
  pieces: (_, id) => new Response(new Blob([textFor(id)]).stream()),
  whole: async (request, id) => new Response(new Blob([textFor(id)]), (await request.blob()) && {}),
  text: () => fileResponse(`${folder}/file`),
  some: (request, id) => request.clone() && new Response(textFor(id)),
  borrowed: async (request, id) => (await request.arrayBuffer()) && new Response(textFor(id)),
};

/** A file stands for the text of this kind. */
const FILE_KIND = "text";
const kinds = Object.keys(plain);
const brokenKinds = Object.keys(broken);

/** Clients that wait, and handlers that hang, end by these. */
const TIMES: Limits = {
  headTimeoutMs: 400,
  bodyTimeoutMs: 400,
  idleTimeoutMs: 400,
  sendTimeoutMs: 400,
  requestTimeoutMs: 1500,
};
/** Good clients get all answers, however slow the machine is. */
const NO_TIMES: Limits = {
  headTimeoutMs: 0,
  bodyTimeoutMs: 0,
  idleTimeoutMs: 0,
  sendTimeoutMs: 0,
};

type Form = "request" | "fetch";

function optionsOf(form: Form, limits: Limits, log: (answered: Answered) => void): ServeOptions {
  const shared = {
    limits,
    onError: () => undefined,
    onAnswered: log,
  };
  const partsOf = (target: string): [string, string] => target.split("/").slice(1) as never;
  if (form === "request") {
    const request = (one: Exchange): unknown => {
      const [id, kind] = partsOf(one.target);
      return (plain[kind] ?? broken[kind]!)(one, id);
    };
    return { ...shared, request: request as RequestHandler };
  }
  const fetch = (request: Request, one: Exchange): Promise<Response | undefined> => {
    const [id, kind] = partsOf(one.target);
    return (web[kind]?.(request, id) ?? broken[kind]!(one, id)) as Promise<Response>;
  };
  return { ...shared, fetch };
}

function requestOf(id: string, kind: string): Buffer {
  const head = `POST /${id}/${kind} HTTP/1.1\r\nHost: a\r\nX-Id: ${id}\r\n`;
  const body = Buffer.alloc(pick([0, 1, 500, 20_000, 100_000]), "b");
  if (below(3) === 0) return Buffer.from(`${head.replace("POST", "GET")}\r\n`);
  if (below(2) === 0) {
    return Buffer.concat([Buffer.from(`${head}Content-Length: ${body.length}\r\n\r\n`), body]);
  }
  const parts = [Buffer.from(`${head}Transfer-Encoding: chunked\r\n\r\n`)];
  const chunkBytes = pick([100, 7000, 1_000_000]);
  for (let at = 0; at < body.length; at += chunkBytes) {
    const chunk = body.subarray(at, at + chunkBytes);
    parts.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from("\r\n"));
  }
  return Buffer.concat([...parts, Buffer.from("0\r\n\r\n")]);
}

interface Seen {
  readonly status: number;
  /** Null when it was cut off. */
  readonly body: string | null;
}

function unchunked(text: string): { body: string | null; rest: string } {
  let body = "";
  for (let at = 0; ; ) {
    const end = text.indexOf("\r\n", at);
    if (end === -1) return { body: null, rest: "" };
    const length = Number.parseInt(text.slice(at, end), 16);
    if (text.length < end + length + 4) return { body: null, rest: "" };
    body += text.slice(end + 2, end + 2 + length);
    at = end + length + 4;
    if (length === 0) return { body, rest: text.slice(at) };
  }
}

/** The answers in what came on a connection. */
function answersIn(all: string): Seen[] {
  const found: Seen[] = [];
  for (let text = all; text !== ""; ) {
    const end = text.indexOf("\r\n\r\n");
    if (end === -1) return [...found, { status: 0, body: null }];
    const head = text.slice(0, end);
    const status = Number(/^HTTP\/1\.1 ([0-9]{3}) /.exec(head)?.[1] ?? Number.NaN);
    assert.ok(status >= 200, `no answer: ${text.slice(0, 80)}`);
    const rest = text.slice(end + 4);
    const length = /\r\ncontent-length: ([0-9]+)/i.exec(head)?.[1];
    if (length !== undefined) {
      const isWhole = rest.length >= Number(length);
      found.push({ status, body: isWhole ? rest.slice(0, Number(length)) : null });
      text = rest.slice(Number(length));
    } else {
      assert.match(head, /transfer-encoding: chunked/i);
      const read = unchunked(rest);
      found.push({ status, body: read.body });
      text = read.rest;
    }
  }
  return found;
}

interface Plan {
  readonly sent: Buffer;
  readonly asked: readonly (readonly [id: string, kind: string])[];
  /** All is sent and read, and all handlers answer. */
  readonly isGood: boolean;
}

let lastId = 0;

function makePlan(): Plan {
  const isGood = below(3) === 0;
  const asked = Array.from({ length: 1 + below(5) }, () => {
    const kind = isGood || below(3) > 0 ? pick(kinds) : pick(brokenKinds);
    return [String(++lastId), kind] as const;
  });
  const all = Buffer.concat(asked.map(([id, kind]) => requestOf(id, kind)));
  const sent = isGood || below(2) === 0 ? all : all.subarray(0, below(all.length + 1));
  return { sent, asked, isGood };
}

// Sends in pieces, and leaves in one of several ways.
async function play(client: Client, { sent, isGood, asked }: Plan): Promise<string> {
  if (!isGood && below(4) === 0) client.socket.pause();
  for (let at = 0; at < sent.length && !client.closed; ) {
    const count = 1 + below(pick([10, 1000, 200_000]));
    client.sendBytes(sent.subarray(at, at + count));
    at += count;
    if (below(2) === 0) await turns(below(3));
  }
  const leaves = pick(isGood ? ["ends", "waits"] : ["ends", "resets", "waits", "goes"]);
  if (leaves === "waits" && isGood) {
    const isWhole = ({ body }: Seen): boolean => body !== null;
    await client.until(() => answersIn(client.received).filter(isWhole).length === asked.length);
    client.socket.destroy();
  }
  if (leaves === "ends") client.socket.end();
  else if (leaves === "goes") client.socket.destroy();
  else if (leaves === "resets") client.socket.resetAndDestroy();
  if (client.socket.isPaused()) {
    await turns(200);
    client.socket.resume();
  }
  return await client.ended();
}

function check(all: string, plan: Plan, form: string): void {
  const answers = answersIn(all);
  const shown = (): string =>
    `${form}: ${JSON.stringify(plan.asked)} ${plan.sent.length} bytes, good: ${plan.isGood}: ` +
    JSON.stringify(answers.map(({ status, body }) => [status, body?.length, body?.slice(0, 12)]));
  assert.ok(answers.length <= plan.asked.length, shown());
  for (const [index, { status, body }] of answers.entries()) {
    const [id, kind] = plan.asked[index]!;
    const isLast = index === answers.length - 1;
    assert.ok(body !== null || isLast, shown());
    const isFile = form === "fetch" && kind === FILE_KIND;
    if (status === 200 && body !== null) {
      assert.ok(body === (isFile ? String(fileBytes) : textFor(id)), shown());
    } else if (status !== 200 && status !== 0) {
      // A handler that throws, a body that is cut off or takes too long, or nothing at all.
      assert.ok(status === 500 || (isLast && status >= 400), shown());
    }
  }
  if (!plan.isGood) return;
  const complete = answers.filter(({ status, body }) => status === 200 && body !== null);
  assert.is(complete.length, plan.asked.length, shown());
}

for (const form of ["request", "fetch"] as const) {
  test(`answers are those of their requests, and nothing stays: by ${form}`, async () => {
    process.stdout.write(`random clients: seed ${seed} (repeat with HTTP_SEED=${seed})\n`);
    const rejected: unknown[] = [];
    const onRejected = (reason: unknown): void => void rejected.push(reason);
    process.on("unhandledRejection", onRejected);
    await using io = await IO.open();
    const logged: Answered[] = [];
    const log = (answered: Answered): void => void logged.push(answered);
    await using patient = await serve({ ...optionsOf(form, NO_TIMES, log), io, port: 0 });
    await using strict = await serve({ ...optionsOf(form, TIMES, log), io, port: 0 });
    for (let round = 0; round < rounds; round++) {
      const plans = Array.from({ length: CLIENTS }, makePlan);
      const played = plans.map((plan) => {
        const { address } = plan.isGood ? patient : strict;
        assert.ok(address.family !== "unix");
        return play(new Client(address.port), plan);
      });
      for (const [index, all] of (await Promise.all(played)).entries()) {
        check(all, plans[index]!, form);
      }
    }
    while (patient.connections + strict.connections > 0) await turn();
    await turns(20);
    const unseen = logged.filter(({ refusal, durationMs }) => refusal !== "" && durationMs === 0);
    const handled = patient.metrics.requests + strict.metrics.requests;
    assert.is(logged.length, handled + unseen.length);
    process.off("unhandledRejection", onRejected);
    assert.equal(rejected, []);
  });
}

test.run();

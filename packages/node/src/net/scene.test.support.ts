// Runs a program on `node:net` and on ours, and says what each end of it has seen.

import nodeNet from "node:net";
import * as assert from "uvu/assert";
import ourNet from "./index.js";

export type Net = typeof nodeNet;

/** What the parts of a program have seen, each in its order. */
export class Log {
  readonly lines = new Map<string, string[]>();

  note(who: string, what: string): void {
    const lines = this.lines.get(who);
    if (lines === undefined) this.lines.set(who, [what]);
    else lines.push(what);
  }

  /** Notes the events of a stream; data is counted, as its chunks are cut by the kernel. */
  watch(who: string, stream: NodeJS.EventEmitter, names: string[]): void {
    for (const name of names) {
      stream.on(name, (...given: unknown[]) => this.note(who, `${name}${shown(given)}`));
    }
  }

  /** What a call has thrown, or that it has not. */
  attempt(who: string, what: string, call: () => unknown): void {
    try {
      call();
      this.note(who, `${what}: done`);
    } catch (error) {
      this.note(who, `${what}: ${describe(error)}`);
    }
  }

  toObject(): Record<string, string[]> {
    return Object.fromEntries([...this.lines].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

function shown(given: readonly unknown[]): string {
  const parts = given.map((one) => {
    if (one instanceof Error) return describe(one);
    if (typeof one === "number" && one > 1023) return "port";
    return typeof one === "object" && one !== null ? "object" : String(one);
  });
  return parts.length === 0 ? "" : ` ${parts.join(" ")}`;
}

/** Class, code and message. Ports of the system's choice are not the same twice. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return `no error: ${String(error)}`;
  const { code, syscall } = error as NodeJS.ErrnoException;
  const text = error.message.replaceAll(/:\d{4,5}\b/g, ":port");
  return [error.constructor.name, code, syscall, text].filter((one) => one !== undefined).join(" ");
}

/** A program: it uses this `net`, notes what it sees, and resolves when it is over. */
export type Program = (net: Net, log: Log) => Promise<void>;

/** Runs it on both, and compares. */
export async function compare(program: Program): Promise<void> {
  const expected = await run(nodeNet, program);
  const actual = await run(ourNet, program);
  assert.equal(actual, expected);
  assert.ok(Object.keys(expected).length > 0, "the program notes something");
}

export async function run(net: Net, program: Program): Promise<Record<string, string[]>> {
  const log = new Log();
  await program(net, log);
  return log.toObject();
}

/** Resolves with the next event of that name. */
export function event(emitter: NodeJS.EventEmitter, name: string): Promise<unknown[]> {
  return new Promise((resolve) => emitter.once(name, (...given: unknown[]) => resolve(given)));
}

export interface Pair {
  readonly server: nodeNet.Server;
  readonly served: nodeNet.Socket;
  readonly client: nodeNet.Socket;
}

/** A client and its connection on a server, whose events are noted under both names. */
export async function pair(
  net: Net,
  log: Log,
  options: { server?: nodeNet.ServerOpts; client?: object } = {},
): Promise<Pair> {
  const server = net.createServer(options.server ?? {});
  server.listen(0, "127.0.0.1");
  await event(server, "listening");
  const { port } = server.address() as nodeNet.AddressInfo;
  const accepted = event(server, "connection");
  const client = net.connect({ ...options.client, port, host: "127.0.0.1" });
  await event(client, "connect");
  const [served] = (await accepted) as [nodeNet.Socket];
  const names = ["end", "finish", "close", "error", "timeout"];
  log.watch("client", client, names);
  log.watch("served", served, names);
  return { server, served, client };
}

/** Ends the server, once both ends have closed. */
export async function over({ server, served, client }: Pair): Promise<void> {
  for (const socket of [served, client]) {
    if (!socket.closed && !socket.destroyed) await event(socket, "close");
    else if (!socket.closed) await closed(socket);
  }
  await new Promise((resolve) => server.close(resolve));
}

async function closed(socket: nodeNet.Socket): Promise<void> {
  await new Promise<void>((resolve) => socket.once("close", () => resolve()));
}

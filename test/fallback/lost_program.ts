// A program whose IO loses what it needs while it works. Prints one line of JSON: how its
// operations have ended.
//
// Usage: lost_program <backend> <attached|detached> <what is taken away>
// The last is the path of a library that forbids a call, or what /proc/self/fd says of a
// descriptor.

import { closeSync, readdirSync, readlinkSync } from "node:fs";
import { Completion, IO, type IOError } from "@io/core";

const [backend = "", mode = "", what = ""] = process.argv.slice(2);

/** The numbers that are such descriptors. */
function numbersOf(kind: string): number[] {
  return readdirSync("/proc/self/fd").flatMap((name) => {
    try {
      return readlinkSync(`/proc/self/fd/${name}`) === `anon_inode:${kind}` ? [Number(name)] : [];
    } catch {
      return []; // of the list itself
    }
  });
}

function takeAway(before: readonly number[]): void {
  if (what.startsWith("[")) {
    for (const number of numbersOf(what)) if (!before.includes(number)) closeSync(number);
    return;
  }
  try {
    process.dlopen({ exports: {} }, what);
  } catch {
    // It is no addon, and has done its work.
  }
}

const outcome = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "done",
    (error: IOError) => `${error.code}: ${error.message}`,
  );

async function attached(): Promise<object> {
  const before = numbersOf(what);
  const io = await IO.open({ backend: backend as "epoll" });
  const listener = await io.listen({ host: "127.0.0.1", port: 0 });
  const { port } = listener.address;
  const [client, served] = await Promise.all([
    io.connect({ host: "127.0.0.1", port: port as number }),
    listener.accept(),
  ]);
  const file = await io.openFile(process.execPath);
  await io.sleep(1);
  const waiting = outcome(served.receive(new Uint8Array(8)));
  const accepting = outcome(listener.accept());
  await io.nop();
  takeAway(before);
  // A timer that is set when it is closed tells nothing until the IO is used again.
  const limited = outcome(client.receive(new Uint8Array(8), { timeoutMs: 20 }));
  const later = await Promise.all([
    outcome(io.sleep(1)),
    outcome(file.read(new Uint8Array(64), 0)),
    outcome(io.stat(process.execPath)),
    outcome(client.send(new Uint8Array(8))),
  ]);
  const last = await outcome(io.sleep(1));
  // Where nothing is lost the send has ended it.
  const received = await waiting;
  const late = await limited;
  const closed = await outcome(client.close());
  const ended = await outcome(io.close());
  const report = { received, late, accepting: await accepting, later, last, closed, ended };
  const other = await IO.open({ backend: "epoll" });
  const again = await outcome(other.sleep(1));
  await other.close();
  return { ...report, again };
}

async function detached(): Promise<object> {
  const before = numbersOf(what);
  const io = await IO.open({ backend: backend as "epoll", mode: "detached" });
  const results: number[] = [];
  const sleep = (): void =>
    io.ring.timeout(new Completion(), (_, result) => results.push(result), 1e6);
  sleep();
  io.run();
  sleep();
  takeAway(before);
  io.run();
  sleep();
  io.run();
  return { results, ended: await outcome(io.close()) };
}

const report = await (mode === "detached" ? detached() : attached());
process.stdout.write(`${JSON.stringify(report)}\n`);

// A program whose IO loses something it needs. Prints one line of JSON: how its operations have
// ended.
//
// Usage: lost_program <backend> <attached|crowded|detached> <loss>. The loss is the path of a
// library that forbids a call, or the target of a link in /proc/self/fd.

import { closeSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
  // A timer that is set when it is closed reports nothing until the IO is used again.
  // Where nothing is lost the limit ends it. Otherwise the loss does, before the limit has passed.
  const timeoutMs = ["[io_uring]", "[eventfd]"].includes(what) ? 20 : 20_000;
  const limited = outcome(client.receive(new Uint8Array(8), { timeoutMs }));
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
  // In one batch, so that each close finds operations, which have the slots of those before.
  const both = [client, served].flatMap((socket) => [
    outcome(socket.receive(new Uint8Array(8))),
    outcome(socket.send(new Uint8Array(8))),
  ]);
  const [closed] = await Promise.all([outcome(client.close()), outcome(served.close())]);
  await Promise.all(both);
  const ended = await outcome(io.close());
  const report = { received, late, accepting: await accepting, later, last, closed, ended };
  const other = await IO.open({ backend: "epoll" });
  const again = await outcome(other.sleep(1));
  await other.close();
  return { ...report, again };
}

/** More writes than threads have begun with when it is lost. */
async function crowded(): Promise<object> {
  const folder = mkdtempSync(join(tmpdir(), "io-lost-"));
  try {
    const before = numbersOf(what);
    const io = await IO.open({ backend: backend as "epoll" });
    const file = await io.openFile(join(folder, "file"), { write: true, create: true });
    const data = new Uint8Array(3_000_000);
    const writes = Array.from({ length: 400 }, () => outcome(file.write(data, 0)));
    await io.nop();
    takeAway(before);
    const last = await outcome(io.sleep(1));
    const ends = await Promise.all(writes);
    return { last, ends, closed: await outcome(file.close()), ended: await outcome(io.close()) };
  } finally {
    rmSync(folder, { recursive: true });
  }
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

const programs: Record<string, () => Promise<object>> = { attached, crowded, detached };
const report = await programs[mode]?.();
process.stdout.write(`${JSON.stringify(report)}\n`);

// Programs under limits of the system: little locked memory, no descriptors left.

import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, type Socket as NetSocket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { IO, probe } from "@io/core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { asNobody, canBeReadByAll } from "../support/nobody.js";
import { skip } from "../support/skip.js";
import { connectedPair, runProgram, until } from "./support.js";

const test = suite("lifetime/limits");

const user = asNobody();
if (typeof user === "string") skip(test, "little locked memory", user);
else if (!canBeReadByAll(new URL("./programs.js", import.meta.url)))
  skip(test, "little locked memory", "the tree is for its owner only");
else {
  test("little locked memory: nothing is registered and everything works", () => {
    const folder = mkdtempSync(join(tmpdir(), "io-limits-"));
    chmodSync(folder, 0o777);
    // Privileges lift the limit, so the program has none.
    const limit = ["prlimit", "--memlock=655360:655360", "--"];
    const ended = runProgram("littleLockedMemory", { prefix: [...limit, ...user] });
    rmSync(folder, { recursive: true });
    assert.is(ended.status, 0, ended.said);
    assert.match(ended.stdout, /same: true\nregistered: 0\nend of the program/, ended.said);
  });
}

if (typeof user === "string") skip(test, "no threads left", user);
else if (!canBeReadByAll(new URL("./programs.js", import.meta.url)))
  skip(test, "no threads left", "the tree is for its owner only");
else {
  test("no threads left: the event loop waits itself, and everything goes on", () => {
    const ended = runProgram("noThreadsLeft", {
      prefix: user,
      environment: { IO_WAKE_UP: "thread" },
    });
    assert.is(ended.status, 0, ended.said);
    const output = "another process: EAGAIN\nreceived: 3\nclosed: ECANCELED\nend of the program\n";
    assert.is(ended.stdout, output, ended.said);
  });
}

test("enough locked memory: the same program registers", () => {
  const limits = readFileSync("/proc/self/limits", "utf8");
  const limit = /^Max locked memory +(\S+)/m.exec(limits)?.[1] ?? "0";
  const ended = runProgram("littleLockedMemory");
  assert.is(ended.status, 0, ended.said);
  assert.match(ended.stdout, /same: true\nregistered: \d+\nend of the program/, ended.said);
  const enough = limit === "unlimited" || Number(limit) >= 4 * 1024 * 1024;
  // Only io_uring can keep memory mapped.
  if (enough && probe().chosen === "io_uring")
    assert.match(ended.stdout, /registered: [1-9]/, ended.said);
});

test("no descriptors left: named errors, and it goes on when there are some", () => {
  const ended = runProgram("noDescriptorsLeft", { prefix: ["prlimit", "--nofile=64:64"] });
  assert.is(ended.status, 0, ended.said);
  assert.match(ended.stdout, /^EMFILE: .*ulimit -n.*\nanother IO: EMFILE\n/, ended.said);
  assert.match(ended.stdout, /after closing: 0\nend of the program/, ended.said);
});

test("a path of many components under rules holds few descriptors", () => {
  const ended = runProgram("deepPathUnderRules", { prefix: ["prlimit", "--nofile=128:128"] });
  assert.is(ended.status, 0, ended.said);
  assert.is(ended.stdout, `${0o750}\nend of the program\n`, ended.said);
});

test("accepting without descriptors waits, does not spin, and loses no connection", () => {
  const ended = runProgram("acceptWithoutDescriptors", { prefix: ["prlimit", "--nofile=96:96"] });
  assert.is(ended.status, 0, ended.said);
  assert.match(ended.stdout, /exhausted: EMFILE\n/, ended.said);
  assert.match(ended.stdout, /served: 20\n/, ended.said);
  // Some twenty tries of a few accepts each; one that spins submits many thousands in that time.
  const submitted = Number(/submitted while exhausted: (\d+)/.exec(ended.stdout)?.[1]);
  assert.ok(submitted <= 600, ended.said);
});

test("a listener that accepts ahead leaves the rest to the backlog and serves all", async () => {
  const io = await IO.open();
  const listener = await io.listen({ port: 0 });
  const count = 300;
  const clients: NetSocket[] = [];
  const first = listener.accept();
  for (let index = 0; index < count; index++) {
    clients.push(connect({ port: listener.address.port, host: "127.0.0.1" }));
  }
  let connected = 0;
  for (const client of clients) client.once("connect", () => connected++);
  await until(() => connected === count, "all connect");
  await (await first).close();
  for (let index = 1; index < count; index++) await (await listener.accept()).close();
  for (const client of clients) client.destroy();
  await listener.close();
  const [one, other] = await connectedPair(io);
  await Promise.all([one.close(), other.close()]);
  assert.is(io.stats().descriptors, 0);
  await io.close();
});

test.run();

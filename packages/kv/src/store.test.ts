/** The store without a server: what a program that embeds it sees, on real files. */

import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { IO } from "@io/core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { codeOf } from "./errors.js";
import { openStore, type RecoveryProgress, type Store } from "./index.js";

const test = suite("store");
const folders: string[] = [];
let io: IO;

function newFolder(): string {
  const path = mkdtempSync(join(tmpdir(), "io-kv-store-"));
  folders.push(path);
  return path;
}

async function codeFrom(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "no error",
    (error: unknown) => codeOf(error),
  );
}

test.before(async () => {
  io = await IO.open();
});

test.after(async () => {
  await io.close();
  for (const path of folders) rmSync(path, { recursive: true, force: true });
});

test("what is set is there after opening again, in a folder that is made", async () => {
  const folder = join(newFolder(), "a", "b");
  const long = Buffer.alloc(3_000_000, 7);
  let store = await openStore({ io, folder });
  await Promise.all([store.set("a", "1"), store.set("b", long), store.set("c", "gone")]);
  await store.set("d", "past", { expireAtMs: Date.now() - 1 });
  assert.is(await store.delete("c"), true);
  assert.is(await store.delete("c"), false);
  await store.close();
  assert.is(await codeFrom(store.get("a")), "ERR_KV_CLOSED");
  store = await openStore({ io, folder });
  assert.is(store.recovery.records, 5);
  assert.is(String(await store.get("a")), "1");
  assert.ok((await store.get("b"))!.equals(long));
  assert.is(await store.get("c"), undefined);
  assert.is(await store.get("d"), undefined);
  await store.close();
});

test("the same folder cannot be opened twice", async () => {
  const folder = newFolder();
  const store = await openStore({ io, folder });
  assert.is(await codeFrom(openStore({ io, folder })), "ERR_KV_LOCKED");
  await store.close();
  await (await openStore({ io, folder })).close();
});

test("progress is reported in order, and an abort ends the reading and unlocks", async () => {
  const folder = newFolder();
  let store = await openStore({ io, folder });
  const value = Buffer.alloc(500_000, 1);
  for (let index = 0; index < 20; index++) await store.set(`k${index}`, value);
  await store.close();
  const seen: RecoveryProgress[] = [];
  const onProgress = (progress: RecoveryProgress) => seen.push(progress);
  store = await openStore({ io, folder, onProgress, progressIntervalMs: 0 });
  await store.close();
  const { size } = statSync(join(folder, "log"));
  assert.ok(seen.length >= size / 2 ** 20 - 1);
  assert.is(seen.at(-1)!.doneBytes, size);
  assert.ok(seen.every((each, index) => each.doneBytes > (seen[index - 1]?.doneBytes ?? 0)));
  const aborting = new AbortController();
  const options = { progressIntervalMs: 0, onProgress: () => aborting.abort() };
  const opening = openStore({ io, folder, ...options, signal: aborting.signal });
  assert.is(
    await codeFrom(opening.catch((error: Error) => Promise.reject({ code: error.name }))),
    "AbortError",
  );
  assert.is(statSync(join(folder, "log")).size, size);
  await (await openStore({ io, folder })).close();
});

/** Rewrites the log and sets keys all the while, each to be looked for later; how many. */
async function rewritten(store: Store): Promise<number> {
  assert.ok(store.rewriter.start());
  assert.not.ok(store.rewriter.start(), "one at a time");
  let number = 0;
  while (store.rewriter.active) await store.set(`during:${number++}`, "v");
  return number;
}

test("a rewrite keeps all, what is written meanwhile too, and drops the garbage", async () => {
  const folder = newFolder();
  let store = await openStore({ io, folder });
  for (let index = 0; index < 3000; index++) void store.set(`k${index % 300}`, `v${index}`);
  await store.set("time", "v", { expireAtMs: 4e12 });
  const before = statSync(join(folder, "log")).size;
  const during = await rewritten(store);
  assert.ok(!existsSync(join(folder, "log.rewrite")));
  await store.close();
  assert.ok(statSync(join(folder, "log")).size < before);
  store = await openStore({ io, folder });
  assert.is(store.recovery.fault, undefined);
  assert.is(store.size, 301 + during);
  assert.is(String(await store.get("k7")), "v2707");
  assert.is(store.data.keyspace.expiringCount, 1);
  await store.close();
});

test("a rewrite keeps a key that a command of an earlier moment still finds alive", async () => {
  const folder = newFolder();
  let store = await openStore({ io, folder });
  const nowMs = Date.now();
  await store.set("given time", "v", { expireAtMs: nowMs - 1000 });
  await store.set("longer", "v", { expireAtMs: nowMs - 1000 });
  const { data } = store;
  assert.ok(store.rewriter.start());
  // As commands do that arrived together, before both had expired.
  data.change(() => data.expire(data.keyspace.find("given time", 0)!, nowMs + 100_000));
  data.change(() => {
    const entry = data.keyspace.find("longer", 0)!;
    data.append(entry, "tail");
    data.expire(entry, 0);
  });
  store.commit.schedule();
  await store.settled(data.keyspace.sequence);
  while (store.rewriter.active) await io.nop();
  assert.is(store.rewriter.completed, 1);
  await store.close();
  store = await openStore({ io, folder });
  assert.is(String(await store.get("given time")), "v");
  assert.is(String(await store.get("longer")), "vtail");
  await store.close();
});

test("when the log is removed, writes are refused instead of lost", async () => {
  const folder = newFolder();
  const store = await openStore({ io, folder });
  await store.set("a", "1");
  rmSync(join(folder, "log"));
  let code = "";
  while (code === "") {
    code = await store.set("b", "2").then(
      () => "",
      (error: unknown) => codeOf(error),
    );
  }
  assert.is(code, "ERR_KV_READ_ONLY");
  assert.match(store.commit.refusal!, /log was removed or replaced/);
  assert.is(String(await store.get("a")), "1");
  await store.close();
});

test("what an interrupted rewrite has left is removed", async () => {
  const folder = newFolder();
  await (await openStore({ io, folder })).close();
  writeFileSync(join(folder, "log.rewrite"), "half a log");
  await (await openStore({ io, folder })).close();
  assert.not.ok(existsSync(join(folder, "log.rewrite")));
});

test("a second damage is saved beside the first", async () => {
  const folder = newFolder();
  for (const number of [1, 2]) {
    await (await openStore({ io, folder })).close();
    writeFileSync(join(folder, "log"), `rubbish ${number}`, { flag: "a" });
    const store = await openStore({ io, folder });
    assert.is(store.recovery.savedAs, join(folder, `log.damaged-${number}`));
    assert.is(readFileSync(store.recovery.savedAs!, "utf8"), `rubbish ${number}`);
    await store.close();
  }
});

test.run();

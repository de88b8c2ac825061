// The public interface once through, on every backend that there is: for runtimes and machines
// where the whole suite cannot run. A plain program without dependencies, which runs wherever
// @io/core is installed: `node smoke.mjs`. Ends with one line of totals.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { IO, IOError, probe } from "@io/core";

// The limit of a wait, never how long something takes: an emulated machine is slow.
const guardMs = 60_000;

/** Ends the program with a failure when the promise does not settle. */
function guarded(what, promise) {
  let timer;
  const late = new Promise((_resolve, reject) => {
    const say = () => reject(new Error(`${what} did not end within ${guardMs / 1000} s`));
    timer = setTimeout(say, guardMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function files(io, folder) {
  const [path, moved] = ["a", "b"].map((name) => join(folder, `${io.backend}-${name}`));
  const file = await io.openFile(path, { read: true, write: true, create: true });
  await file.writeAll(Buffer.from("first line\nsecond"), 0);
  await file.sync();
  const bytes = new Uint8Array(100);
  const count = await file.readFull(bytes, 6);
  assert.equal(Buffer.from(bytes.subarray(0, count)).toString(), "line\nsecond");
  assert.equal((await file.stat()).size, 17);
  await file.close();
  await io.rename(path, moved);
  await assert.rejects(io.openFile(path), (error) => {
    return error instanceof IOError && error.code === "ENOENT" && error.path === path;
  });
  await io.unlink(moved);
}

async function aChain(io, folder) {
  const path = join(folder, `${io.backend}-log`);
  const file = await io.openFile(path, { write: true, create: true });
  const results = await io.chain([
    file.prepareWrite(Buffer.from("record"), 0),
    file.prepareSync("data"),
  ]);
  assert.deepEqual(results, [6, 0]);
  await file.close();
}

/** Sends a megabyte to a server that sends everything back. */
async function echo(io, listener, connecting) {
  const served = await listener.accept();
  const socket = await connecting;
  const sent = new Uint8Array(1024 * 1024).map((_byte, index) => index % 251);
  const serve = async () => {
    const buffer = new Uint8Array(64 * 1024);
    for (;;) {
      const count = await served.receive(buffer);
      if (count === 0) break;
      await served.sendAll(buffer.subarray(0, count));
    }
    await served.shutdown("send");
  };
  const send = async () => {
    await socket.sendAll(sent);
    await socket.shutdown("send");
  };
  const received = new Uint8Array(sent.length);
  const [count] = await Promise.all([socket.receiveFull(received), serve(), send()]);
  assert.equal(count, sent.length);
  assert.ok(Buffer.from(received.buffer).equals(Buffer.from(sent.buffer)), "what came back");
  assert.equal(await socket.receive(new Uint8Array(1)), 0);
  for (const thing of [served, socket, listener]) await thing.close();
  assert.equal(io.stats().strays, 0);
}

async function tcp(io) {
  const listener = await io.listen({ host: "127.0.0.1", port: 0 });
  await echo(io, listener, io.connect({ host: "127.0.0.1", port: listener.address.port }));
}

async function unix(io, folder) {
  const path = join(folder, `${io.backend}-socket`);
  const listener = await io.listen({ path });
  await echo(io, listener, io.connect({ path }));
}

async function datagrams(io) {
  const [one, two] = await Promise.all(
    [0, 0].map((port) => io.openDatagram({ host: "127.0.0.1", port })),
  );
  await one.sendTo(Buffer.from("ping"), two.localAddress);
  const bytes = new Uint8Array(64);
  const { byteLength, address } = await two.receive(bytes);
  assert.equal(Buffer.from(bytes.subarray(0, byteLength)).toString(), "ping");
  assert.equal(address.port, one.localAddress.port);
  await one.close();
  await two.close();
}

async function time(io) {
  await io.sleep(1);
  const timer = io.timer({ intervalMs: 1 });
  let seen = 0;
  for await (const intervals of timer) {
    seen += Number(intervals);
    if (seen >= 3) break;
  }
  await timer.close();
}

async function ends(io) {
  const listener = await io.listen({ host: "127.0.0.1", port: 0 });
  const connecting = io.connect({ host: "127.0.0.1", port: listener.address.port });
  const served = await listener.accept();
  const socket = await connecting;
  const bytes = new Uint8Array(64);
  await assert.rejects(socket.receive(bytes, { timeoutMs: 5 }), { code: "ETIMEDOUT" });
  const controller = new AbortController();
  const receiving = socket.receive(bytes, { signal: controller.signal });
  controller.abort();
  await assert.rejects(receiving, { code: "ABORT_ERR" });
  await served.sendAll(Buffer.from("still there"));
  assert.equal(await socket.receive(bytes), 11);
  const closed = assert.rejects(socket.receive(bytes), { code: "ECANCELED" });
  await socket.close();
  await closed;
  await served.close();
  await listener.close();
}

async function worker(io) {
  const thread = new Worker(new URL(import.meta.url), { workerData: { backend: io.backend } });
  const said = new Promise((resolve, reject) => {
    thread.once("message", resolve).once("error", reject);
  });
  const ended = new Promise((resolve) => thread.once("exit", resolve));
  assert.equal(await said, io.backend);
  assert.equal(await ended, 0);
}

async function inWorker() {
  const io = await IO.open({ backend: workerData.backend });
  await io.sleep(1);
  await tcp(io);
  await io.close();
  parentPort.postMessage(io.backend);
}

const checks = { files, aChain, tcp, unix, datagrams, time, ends, worker };
const totals = { passed: 0, failed: 0, skipped: 0 };

async function check(backend, name, folder) {
  const io = await IO.open({ backend });
  try {
    await guarded(name, checks[name](io, folder));
    totals.passed += 1;
  } catch (error) {
    totals.failed += 1;
    console.log(`FAIL ${backend}: ${name}\n${error.stack}`);
  } finally {
    await guarded("close", io.close());
  }
}

async function main() {
  const folder = mkdtempSync(join(tmpdir(), "io-smoke-"));
  const names = Object.keys(checks);
  const found = probe().candidates;
  try {
    for (const { name: backend, available, reason } of found) {
      if (!available) {
        // Of another system, or forbidden here: said once, and counted once for each check.
        console.log(`skipped: ${backend}: ${reason}`);
        totals.skipped += names.length;
        continue;
      }
      for (const name of names) await check(backend, name, folder);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const { passed, failed, skipped } = totals;
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  if (failed > 0 || passed === 0) process.exitCode = 1;
}

await (isMainThread ? main() : inWorker());

// The stacks of errors: they name the function of the program that waits.

import { mkdirSync } from "node:fs";
import type { File, IO, IOError, Socket } from "@io/core";
import * as assert from "uvu/assert";
import type { Suite } from "../support/harness.js";
import { connected } from "../support/network.js";
import { failure, turn, until } from "../support/verbs.js";

interface Things {
  readonly io: IO;
  readonly folder: File;
  readonly client: Socket;
}

type Call = readonly [name: string, call: (things: Things) => Promise<unknown>];

const LIMIT = { timeoutMs: 0 };

const CALLS: readonly Call[] = [
  ["openFile", ({ io }) => io.openFile("/nowhere/at/all")],
  ["stat", ({ io }) => io.stat("/nowhere/at/all")],
  ["read", ({ folder }) => folder.read(new Uint8Array(8), 0)],
  ["readFull", ({ folder }) => folder.readFull(new Uint8Array(8), 0)],
  ["sleep", ({ io }) => io.sleep(1000, LIMIT)],
  ["receive", ({ client }) => client.receive(new Uint8Array(8), LIMIT)],
  ["receiveFull", ({ client }) => client.receiveFull(new Uint8Array(8), LIMIT)],
  ["an abort", ({ io }) => io.sleep(1000, { signal: AbortSignal.timeout(5) })],
];

async function innermost(call: Call[1], things: Things): Promise<void> {
  await call(things);
}

async function outermost(call: Call[1], things: Things): Promise<void> {
  await innermost(call, things);
}

export function stacks(suite: Suite): void {
  for (const [name, call] of CALLS) {
    suite.test(`the stack of ${name} names those who wait`, async (trial) => {
      const { io, client } = await connected(trial);
      mkdirSync(trial.path("folder"));
      const folder = await io.openFile(trial.path("folder"));
      const { stack, message }: IOError = await failure(outermost(call, { io, client, folder }));
      assert.match(String(stack), message.slice(0, 20), "it begins with the message");
      assert.match(String(stack), /at async innermost .*stacks/);
      assert.match(String(stack), /at async outermost .*stacks/);
    });
  }

  suite.test("a failure that nobody waits for is an unhandled rejection, once", async (trial) => {
    const io = await trial.open();
    const seen: unknown[] = [];
    const record = (error: unknown): void => void seen.push((error as IOError).code);
    process.on("unhandledRejection", record);
    trial.defer(() => process.off("unhandledRejection", record));
    void io.stat("/nowhere/at/all");
    await until(io, () => seen.length > 0, "the rejection");
    await turn();
    assert.equal(seen, ["ENOENT"]);
  });
}

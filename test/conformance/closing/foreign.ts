// Other code of the process closes a number that belongs to an IO, as a double close does. An
// object that still has the old descriptor must not reach the file that has the number then.

import { closeSync, writeFileSync } from "node:fs";
import type { IOError } from "@io/core";
import * as assert from "uvu/assert";
import { isBsdHere } from "../../support/system.js";
import { guarded, type Suite } from "../support/harness.js";
import { connected } from "../support/network.js";
import { failureCode } from "../support/verbs.js";

const numberOf = (descriptor: number): number => descriptor & 0xfffff;

/** Where nothing keeps such a number from being handed out (O_PATH), closing it says so. */
async function closeForeign(closing: Promise<void>): Promise<void> {
  await closing.catch((error: IOError) => {
    if (!isBsdHere()) throw error;
    assert.is(error.code, "EBADF");
  });
}

export function closingForeign(suite: Suite): void {
  suite.test("a file whose number was closed by other code is EBADF", async (trial) => {
    const io = await trial.open();
    writeFileSync(trial.path("one"), "one");
    writeFileSync(trial.path("two"), "two");
    const one = await io.openFile(trial.path("one"), { read: true, write: true });
    closeSync(numberOf(one.descriptor));
    const buffer = new Uint8Array(3);
    // Each of them gets the free number, which is the first one's.
    for (let count = 0; count < 3; count++) {
      const two = await guarded("open", io.openFile(trial.path("two")));
      assert.is(await two.read(buffer, 0), 3);
      assert.is(Buffer.from(buffer).toString(), "two");
      assert.is(await failureCode(one.read(buffer, 0)), "EBADF");
      assert.is(await failureCode(one.write(buffer, 0)), "EBADF");
      await two.close();
    }
    await closeForeign(one.close());
    const file = await io.openFile(trial.path("one"));
    assert.is(await file.read(buffer, 0), 3);
    assert.is(Buffer.from(buffer).toString(), "one");
  });

  suite.test("a socket whose number was closed by other code stops no other", async (trial) => {
    const { io, client, served, listener } = await connected(trial);
    await served.send(Buffer.from("x"));
    await client.receive(new Uint8Array(1));
    closeSync(numberOf(client.descriptor));
    const { port } = listener.address;
    const connecting = io.connect({ host: "127.0.0.1", port: port as number });
    const second = await guarded("accept", listener.accept());
    const other = await guarded("connect", connecting);
    await other.send(Buffer.from("abc"));
    const buffer = new Uint8Array(3);
    assert.is(await guarded("receive", second.receive(buffer)), 3);
    assert.is(Buffer.from(buffer).toString(), "abc");
    assert.is(await failureCode(guarded("send", client.send(buffer))), "EBADF");
    await guarded("close", closeForeign(client.close()));
    await other.send(Buffer.from("def"));
    assert.is(await guarded("receive", second.receive(buffer)), 3);
  });
}

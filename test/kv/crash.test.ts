/**
 * Ends servers with SIGKILL in the middle of writing and starts them again: every write that was
 * acknowledged must be there, and of those under way any beginning, in order.
 */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  cleanUp,
  type KvServer,
  randomFrom,
  seedOf,
  start,
  temporaryFolder,
  Wire,
} from "./support.js";

const ROUNDS = 6;
const WRITERS = 8;
const PIPELINE = 20;

const test = suite("kv crash");
const seed = seedOf("kv crash");
const random = randomFrom(seed);

/** What one writer has sent and what was acknowledged; it owns the keys that end in its number. */
interface Ledger {
  sent: number;
  acknowledged: number;
}

/** A key that stays is set in every so many steps; the others replace what there was. */
const KEEP_EVERY = 10;

/** Every step of a writer is these six commands; each depends on the step's number only. */
function step(writer: number, number: number): { text: string; replyBytes: number } {
  const pad = String(number).padStart(9, "0");
  const commands = [
    `SET ${number % KEEP_EVERY === 0 ? `keep:${writer}:${number}` : `kept:${writer}`} ${pad}`,
    `SET last:${writer} ${pad}`,
    `MSET left:${writer} ${pad} right:${writer} ${pad}`,
    `SET new:${writer}:${number} x`,
    number > 0 ? `DEL new:${writer}:${number - 1}` : `DEL none:${writer}`,
    `SET grown:${writer} ${"y".repeat(1 + (number % 50))}`,
  ];
  return { text: `${commands.join("\r\n")}\r\n`, replyBytes: 29 };
}

async function write(server: KvServer, writer: number, ledger: Ledger, acknowledged: () => void) {
  const wire = await Wire.open(server.port);
  try {
    for (;;) {
      let replyBytes = 0;
      let text = "";
      for (let count = 0; count < PIPELINE; count++) {
        const next = step(writer, ledger.sent++);
        text += next.text;
        replyBytes = next.replyBytes;
      }
      wire.send(text);
      for (let count = 0; count < PIPELINE; count++) {
        const replies = await wire.take(replyBytes);
        assert.match(replies, /^(\+OK\r\n){4}:[01]\r\n\+OK\r\n$/);
        ledger.acknowledged++;
        acknowledged();
      }
    }
  } catch (error) {
    if (!String(error).includes("the server closed")) throw error;
  } finally {
    wire.close();
  }
}

/** Compares what there is with the ledger, and brings the ledger to what there is. */
async function check(server: KvServer, ledgers: readonly Ledger[]): Promise<void> {
  const wire = await Wire.open(server.port);
  for (const [writer, ledger] of ledgers.entries()) {
    wire.send(`MGET last:${writer} left:${writer} right:${writer}\r\n`);
    const reply = await wire.take(4 + 3 * 15);
    const numbers = [...reply.matchAll(/\$9\r\n(\d{9})/g)].map((match) => Number(match[1]));
    const [last, left, right] = numbers as [number, number, number];
    const where = `writer ${writer}: last ${last}, left ${left}, right ${right}`;
    assert.is(left, right, `${where}: an MSET is kept or lost as a whole`);
    assert.ok(last >= ledger.acknowledged - 1, `${where}: ${ledger.acknowledged} acknowledged`);
    assert.ok(last < ledger.sent, `${where}: ${ledger.sent} sent`);
    assert.ok(last === left || last === left + 1, `${where}: out of order`);
    // Step n makes new:n and removes new:n-1, and the log may end between any two commands.
    const key = (number: number) => `new:${writer}:${number}`;
    wire.send(`EXISTS ${key(last - 2)}\r\nEXISTS ${key(last - 1)} ${key(last)}\r\n`);
    assert.match(await wire.take(8), /^:0\r\n:[12]\r\n$/, `${where}: a removal was lost`);
    const kept: string[] = [];
    for (let n = 0; n <= last; n += KEEP_EVERY) kept.push(`keep:${writer}:${n}`);
    wire.send(`EXISTS ${kept.join(" ")}\r\n`);
    assert.is(await wire.take(`:${kept.length}\r\n`.length), `:${kept.length}\r\n`, where);
    // The next round begins after a step that may be half done.
    wire.send(`DEL ${key(last - 1)}\r\nSET ${key(last)} x\r\n`);
    await wire.take(9);
    ledger.acknowledged = ledger.sent = last + 1;
  }
  wire.close();
}

for (const sync of ["always", "everysec"]) {
  test(`${sync}: ${ROUNDS} rounds of SIGKILL lose nothing acknowledged`, async () => {
    const folder = temporaryFolder();
    const ledgers: Ledger[] = Array.from({ length: WRITERS }, () => ({ sent: 0, acknowledged: 0 }));
    let output = "";
    for (let round = 0; round <= ROUNDS; round++) {
      // A log this short is rewritten repeatedly, so that crashes happen during a rewrite as well.
      const server = await start({ folder, more: ["--sync", sync, "--rewrite-from", "50000"] });
      if (round > 0) await check(server, ledgers);
      let left = 200 + random(2000);
      const writers = ledgers.map((ledger, writer) =>
        write(server, writer, ledger, () => {
          if (--left === 0) server.program.child.kill("SIGKILL");
        }),
      );
      await Promise.all(writers);
      await server.program.ended;
      output += `${server.program.output}\n`;
    }
    assert.not.match(output, /could not/);
    assert.match(output, /rewrote the log/, "crashes were to fall into rewrites as well");
  });
}

test.after(cleanUp);
test.run();

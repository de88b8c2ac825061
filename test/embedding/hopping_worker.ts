// A Worker in which callbacks of one copy of the package queue on an IO of another.

import { parentPort } from "node:worker_threads";
import { Completion, IO } from "@io/core";
import { Copy } from "./support.js";

const ios = [await IO.open(), await new Copy().open()] as const;
for (const [first, second] of [ios, [...ios].reverse()] as (readonly [IO, IO])[]) {
  for (let round = 0; round < 20; round++) {
    await new Promise<void>((resolve) => {
      first.ring.nop(new Completion(), () => second.ring.nop(new Completion(), () => resolve()));
    });
  }
}
for (const io of ios) await io.close();
parentPort?.postMessage("done");

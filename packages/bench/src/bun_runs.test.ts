// The library in Bun, on every backend that this machine has.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { probe } from "@io/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { findBun } from "./bun.js";

const program = fileURLToPath(new URL("./bun_program.js", import.meta.url));
const found = findBun();

for (const { name, available, reason } of probe().candidates) {
  const title = `Bun runs files, sockets and timers on ${name}`;
  const missing = "unavailable" in found ? found.unavailable : available ? null : reason;
  if (missing !== null) {
    process.stdout.write(`skipped: ${title}: ${missing}\n`);
    test.skip(title, () => {});
    continue;
  }
  test(title, () => {
    const folder = mkdtempSync(join(tmpdir(), "io-bun-"));
    try {
      const bun = (found as { path: string }).path;
      const words = [program, name, join(folder, "file")];
      const output = execFileSync(bun, words, { encoding: "utf8", timeout: 60_000 });
      assert.is(output, `${name} true hello ETIMEDOUT\n`);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

test.run();

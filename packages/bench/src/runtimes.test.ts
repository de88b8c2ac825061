// The library in Bun and Deno, on every backend that this machine has.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { probe } from "@io/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { findBun } from "./bun.js";
import { findDeno } from "./deno.js";

const program = fileURLToPath(new URL("./runtime_program.js", import.meta.url));

interface Runtime {
  readonly name: string;
  readonly found: { path: string } | { unavailable: string };
  readonly words: readonly string[];
}

const runtimes: readonly Runtime[] = [
  { name: "bun", found: findBun(), words: [] },
  // It finds packages where pnpm has put them, and may do everything without asking.
  {
    name: "deno",
    found: findDeno(),
    words: ["run", "-A", "--no-lock", "--node-modules-dir=manual"],
  },
];

function register({ name: runtime, found, words }: Runtime): void {
  for (const { name, available, reason } of probe().candidates) {
    const title = `${runtime} runs files, sockets and timers on ${name}`;
    const missing = "unavailable" in found ? found.unavailable : available ? null : reason;
    if (missing !== null || "unavailable" in found) {
      process.stdout.write(`skipped: ${title}: ${missing}\n`);
      test.skip(title, () => {});
      continue;
    }
    test(title, () => {
      const folder = mkdtempSync(join(tmpdir(), "io-runtime-"));
      // Deno caches compiled code, and checks for newer versions.
      const env = { ...process.env, DENO_DIR: join(folder, "deno"), DENO_NO_UPDATE_CHECK: "1" };
      try {
        const line = [...words, program, name, join(folder, "file")];
        const output = execFileSync(found.path, line, { encoding: "utf8", timeout: 60_000, env });
        assert.is(output, `${name} ${runtime} hello ETIMEDOUT\n`);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  }
}

for (const runtime of runtimes) register(runtime);

test.run();

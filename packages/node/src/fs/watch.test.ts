/** The events of files: each program watches with Node's module and with ours. */

import { chmodSync, mkdirSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import nodePromises from "node:fs/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { outcomeHere, outcomeOf, type Program, type Promises } from "./outcome.test.support.js";
import * as ours from "./promises.js";

const test = suite("watch, as Node's");
const here = process.platform === "linux";
const wrong = (value: unknown): never => value as never;

/** The events of the changes, up to a name that ends it. */
async function told(
  fs: Promises,
  path: string,
  folder: string,
  encoding: BufferEncoding,
  change: () => void,
): Promise<unknown[]> {
  const events = fs.watch(path, { encoding })[Symbol.asyncIterator]();
  const all: unknown[] = [];
  let next = events.next();
  // Both begin with the first call, and ours when its promise is fulfilled: what comes before the
  // first event is left out.
  const turns = setInterval(() => chmodSync(folder, 0o700), 5);
  try {
    await next;
  } finally {
    clearInterval(turns);
  }
  change();
  writeFileSync(`${folder}/the-end`, "");
  for (;;) {
    next = events.next();
    const { value } = await next;
    const name = Buffer.from(String(value?.filename), encoding).toString();
    const isOfFolder = path.endsWith(`/${name}`);
    if (name === "the-end") break;
    if (!isOfFolder) all.push([value?.eventType, value?.filename]);
  }
  await events.return?.();
  return all;
}

const programs: Record<string, Program> = {
  "names in a directory": async (fs, at) => {
    mkdirSync(at("d"));
    return told(fs, at("d"), at("d"), "utf8", () => {
      writeFileSync(at("d/a"), "1");
      renameSync(at("d/a"), at("d/b"));
      unlinkSync(at("d/b"));
      mkdirSync(at("d/ü"));
    });
  },
  "names in an encoding": async (fs, at) => {
    mkdirSync(at("d"));
    return told(fs, at("d"), at("d"), "hex", () => {
      writeFileSync(at("d/ü"), "1");
    });
  },
  "names that are not UTF-8": async (fs, at) => {
    mkdirSync(at("d"));
    return told(fs, at("d"), at("d"), "hex", () => {
      writeFileSync(Buffer.concat([Buffer.from(at("d/ü")), Buffer.of(0xff, 0x41, 0xfe)]), "");
    });
  },
  "wrong arguments": async (fs, at) => {
    const calls = [
      () => fs.watch(wrong(1)),
      () => fs.watch(at("none")),
      () => fs.watch(at("d"), wrong({ persistent: 1 })),
      () => fs.watch(at("d"), { signal: AbortSignal.abort("why") }),
    ];
    return Promise.all(
      calls.map(async (call) => {
        const first = await (async () => call()[Symbol.asyncIterator]().next())().catch(
          (error: NodeJS.ErrnoException) => error,
        );
        const { name, code } = first as NodeJS.ErrnoException;
        return [name, code];
      }),
    );
  },
};

for (const [name, program] of Object.entries(programs)) {
  if (!here) continue;
  test(name, async () => {
    const expected = await outcomeOf(program, nodePromises);
    assert.equal(await outcomeHere(program, ours as unknown as Promises), expected);
  });
}

if (here) {
  test("a signal ends it, and a tree is watched whole", async () => {
    const outcome = await outcomeOf(
      async (fs, at) => {
        mkdirSync(at("t/a/b"), { recursive: true });
        const controller = new AbortController();
        const { signal } = controller;
        const names: unknown[] = [];
        const watched = (async () => {
          for await (const { filename } of fs.watch(at("t"), { recursive: true, signal })) {
            if (names.push(filename) === 1) controller.abort();
          }
        })().catch((error: unknown) => error);
        const turns = setInterval(() => writeFileSync(at("t/a/b/file"), "x"), 5);
        const error = (await watched) as NodeJS.ErrnoException;
        clearInterval(turns);
        rmSync(at("t"), { recursive: true });
        return [error.name, error.code, names];
      },
      ours as unknown as Promises,
    );
    assert.equal(outcome, { result: ["AbortError", "ABORT_ERR", ["a/b/file"]] });
  });
}

test.run();

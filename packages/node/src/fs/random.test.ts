/** Random programs of file operations do the same on `node:fs/promises` and on this library. */

import nodePromises from "node:fs/promises";
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { outcomeHere, outcomeOf, type Program, type Promises } from "./outcome.test.support.js";
import * as ours from "./promises.js";

const test = suite("random programs of files, as Node's");

// Few names, so that operations meet: files, folders, what lies below them, and what is missing.
const name = fc.constantFrom("a", "b", "a/x", "b/x", "a/x/y", "none", "");
const flags = fc.constantFrom("r", "r+", "w", "w+", "wx", "a", "a+", "ax");
const contents = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.uint8Array({ maxLength: 40 }),
);
const place = fc.option(fc.integer({ min: -1, max: 60 }), { nil: null });
const length = fc.integer({ min: -1, max: 60 });

type Step =
  | readonly ["writeFile" | "appendFile", string, string | Uint8Array]
  | readonly ["readFile" | "unlink" | "rmdir" | "readlink" | "kind" | "readdir" | "rm", string]
  | readonly ["chmod" | "access", string, number]
  | readonly ["mkdir", string, boolean]
  | readonly ["rename" | "link" | "symlink" | "copyFile", string, string]
  | readonly ["truncate", string, number]
  | readonly ["open", string, string]
  | readonly ["write", string | Uint8Array, number | null]
  | readonly ["read", number, number | null]
  | readonly ["writev" | "readv", readonly number[], number | null]
  | readonly ["cut", number]
  | readonly ["rest" | "size" | "close"];

// Not cp: it looks at both ends at once, and the one that fails first is the error, in Node too.
const byPath = [
  fc.tuple(fc.constantFrom("readdir", "rm"), name),
  fc.tuple(fc.constant("chmod"), name, fc.constantFrom(0o600, 0o644, 0o755)),
  fc.tuple(fc.constant("access"), name, fc.integer({ min: 0, max: 7 })),
];

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(fc.constantFrom("writeFile", "appendFile"), name, contents),
  fc.tuple(fc.constantFrom("readFile", "unlink", "rmdir", "readlink", "kind"), name),
  ...byPath,
  fc.tuple(fc.constant("mkdir"), name, fc.boolean()),
  fc.tuple(fc.constantFrom("rename", "link", "symlink", "copyFile"), name, name),
  fc.tuple(fc.constant("truncate"), name, length),
  fc.tuple(fc.constant("open"), name, flags),
  fc.tuple(fc.constant("write"), contents, place),
  fc.tuple(fc.constant("read"), fc.integer({ min: 0, max: 60 }), place),
  fc.tuple(
    fc.constantFrom("writev", "readv"),
    fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 4 }),
    place,
  ),
  fc.tuple(fc.constant("cut"), length),
  fc.tuple(fc.constantFrom("rest", "size", "close")),
) as fc.Arbitrary<Step>;

type Handle = nodePromises.FileHandle;

function onHandle(handle: Handle, one: Step): Promise<unknown> | undefined {
  switch (one[0]) {
    case "write":
      return typeof one[1] === "string"
        ? handle.write(one[1], one[2])
        : handle.write(one[1], 0, null, one[2]);
    case "read":
      return handle.read(Buffer.alloc(60), 0, one[1], one[2]);
    case "writev":
      return handle.writev(
        one[1].map((size) => Buffer.alloc(size, "v")),
        one[2] ?? undefined,
      );
    case "readv":
      return handle.readv(
        one[1].map((size) => Buffer.alloc(size)),
        one[2] ?? undefined,
      );
    case "cut":
      return handle.truncate(one[1]);
    case "rest":
      return handle.readFile();
    case "size":
      return handle.stat().then(({ size, mode }) => [size, mode]);
    default:
      return undefined;
  }
}

function onPath(fs: Promises, at: (name: string) => string, one: Step): Promise<unknown> {
  switch (one[0]) {
    case "writeFile":
    case "appendFile":
      return fs[one[0]](at(one[1]), one[2]);
    case "readFile":
    case "unlink":
    case "rmdir":
    case "readlink":
    case "readdir":
      return fs[one[0]](at(one[1])) as Promise<unknown>;
    case "rm":
      // The folder of the program is needed by what follows.
      return one[1] === "" ? Promise.resolve() : fs.rm(at(one[1]), { recursive: true });
    case "chmod":
    case "access":
      return fs[one[0]](at(one[1]), one[2]);
    case "kind":
      return fs.lstat(at(one[1])).then(({ size, mode, nlink }) => {
        // The size of a folder is the file system's.
        return (mode & 0o170000) === 0o100000 ? [mode, nlink, size] : mode;
      });
    case "mkdir":
      return fs.mkdir(at(one[1]), { recursive: one[2] });
    case "rename":
    case "link":
    case "symlink":
    case "copyFile":
      return fs[one[0]](at(one[1]), at(one[2]));
    default:
      return fs.truncate(at(one[1] as string), one[2] as number);
  }
}

function programOf(steps: readonly Step[]): Program {
  return async (fs, at) => {
    const results: unknown[] = [];
    let handle: Handle | null = null;
    const take = async (one: Step): Promise<unknown> => {
      if (one[0] !== "open" && one[0] !== "close") {
        const done = handle === null ? undefined : onHandle(handle, one);
        const needs = ["write", "read", "writev", "readv", "cut", "rest", "size"].includes(one[0]);
        return needs ? done : onPath(fs, at, one);
      }
      await handle?.close();
      handle = null;
      if (one[0] === "open") handle = await fs.open(at(one[1]), one[2]);
      return handle !== null;
    };
    for (const one of steps) results.push([one[0], await take(one).catch((error) => error)]);
    await (handle as Handle | null)?.close();
    return results;
  };
}

test("one step after the other", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const program = programOf(steps);
      const theirs = await outcomeOf(program, nodePromises);
      assert.equal(await outcomeHere(program, ours as unknown as Promises), theirs);
    }),
    { numRuns: 300 },
  );
});

test.run();

/**
 * Every function and every method of a `FileHandle` with odd values in the place of each of its
 * arguments: what comes of it is what comes of Node's, the error included.
 */

import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import nodePromises from "node:fs/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { outcomeOf, type Promises, shown } from "./outcome.test.support.js";
import * as ours from "./promises.js";

const test = suite("odd arguments of files, as Node's");

type At = (name: string) => string;
type Call = (...given: unknown[]) => Promise<unknown>;

const nothing = { undefined: undefined, null: null };
const others = {
  "a number": 5,
  true: true,
  "an object": {},
  "an array": [],
  "a symbol": Symbol("s"),
};

const paths = {
  ...nothing,
  ...others,
  "a zero byte": "a\0b",
  "zero bytes": Buffer.from("a\0b"),
  "a URL of the web": new URL("http://localhost/x"),
  "a URL with a host": new URL("file://elsewhere/x"),
  "a URL with a slash": new URL("file:///a%2fb"),
  "no URL": { href: "file:///x", protocol: "file:" },
  "wide numbers": Uint16Array.of(97),
  "a function": () => "x",
};
const options = {
  ...nothing,
  ...others,
  "no encoding": "utf9",
  "an encoding": "hex",
  "a wrong encoding": { encoding: "utf9" },
  "an encoding of a number": { encoding: 5 },
  "a wrong signal": { signal: 5 },
  "an aborted signal": { signal: AbortSignal.abort() },
  "a wrong flag": { flag: "q" },
  "a flag of an object": { flag: {} },
  "a wrong mode": { mode: "9" },
  "a wrong recursive": { recursive: 1 },
  "a wrong bigint": { bigint: 1 },
  "a wrong flush": { flush: "x" },
  "a wrong filter": { filter: 5 },
  "a mode of text": { mode: "x" },
  "a mode that there is not": { mode: 99 },
  "a wrong force": { force: 1 },
  "a wrong errorOnExist": { errorOnExist: 1 },
  "a wrong dereference": { dereference: 1 },
  "a wrong preserveTimestamps": { preserveTimestamps: 1 },
  "a wrong verbatimSymlinks": { verbatimSymlinks: 1 },
  "links in two ways": { dereference: true, verbatimSymlinks: true },
  "kinds of files": { withFileTypes: 1 },
  "a wrong delay": { retryDelay: -1 },
  "wrong tries": { maxRetries: "1" },
  "an encoding of bytes": { encoding: "buffer" },
};
const modes = {
  ...nothing,
  ...others,
  octal: "644",
  "no octal": "9",
  "no digits": "x",
  negative: -1,
  "a part": 1.5,
  "more than 32 bits": 2 ** 32,
  "no number": Number.NaN,
};
const numbers = {
  ...nothing,
  ...others,
  text: "5",
  negative: -1,
  "a part": 1.5,
  "no number": Number.NaN,
  endless: Number.POSITIVE_INFINITY,
  "a bigint": 5n,
  "a large bigint": 2n ** 70n,
  "more than is exact": 2 ** 60,
};
const times = {
  ...nothing,
  ...others,
  text: "5",
  "no time": "soon",
  empty: "",
  negative: -1,
  "no number": Number.NaN,
  "no date": new Date(Number.NaN),
};
const contents = { ...nothing, ...others, "a function": () => "x", "numbers in an array": [1, 2] };
const views = { ...nothing, ...others, text: "text", "an ArrayBuffer": new ArrayBuffer(4) };
const lists = { ...nothing, ...others, "an array of text": ["x"], "an array of null": [null] };

/** What each takes; a function of `at` gives the argument that is right. */
type Argument = readonly [right: (at: At) => unknown, odd: Record<string, unknown>];
const file: Argument = [(at) => at("file"), paths];
const folder: Argument = [(at) => at("folder"), paths];
const link: Argument = [(at) => at("link"), paths];
const fresh: Argument = [(at) => at("new"), paths];
const option: Argument = [() => undefined, options];
const mode: Argument = [() => 0o600, modes];
const owner: Argument = [() => process.getuid?.(), numbers];
const time: Argument = [() => 1000, times];
const number: Argument = [() => 0, numbers];
const content: Argument = [() => "text", contents];
const flags: Argument = [
  () => "r+",
  // No number: @io/core refuses bits that it does not know, the system does not mind them.
  { null: null, true: true, "an object": {}, word: "q", upper: "R", "a part": 1.5, large: 2 ** 40 },
];

const functions: Record<string, readonly Argument[]> = {
  access: [file, mode],
  appendFile: [file, content, option],
  chmod: [file, mode],
  chown: [file, owner, owner],
  copyFile: [file, fresh, mode],
  cp: [file, fresh, option],
  lchown: [link, owner, owner],
  link: [file, fresh],
  lstat: [link, option],
  lutimes: [link, time, time],
  mkdir: [fresh, [() => undefined, { ...options, ...modes }]],
  mkdtemp: [fresh, option],
  open: [file, flags, mode],
  opendir: [folder, option],
  readdir: [folder, option],
  readFile: [file, option],
  readlink: [link, option],
  realpath: [file, option],
  rename: [file, fresh],
  rm: [file, option],
  rmdir: [folder, option],
  stat: [file, option],
  statfs: [folder, option],
  symlink: [file, fresh, [() => undefined, { ...others, null: null, word: "q" }]],
  truncate: [file, number],
  unlink: [file],
  utimes: [file, time, time],
  writeFile: [file, content, option],
};

/** Node 20 takes no bigint there; later releases do, as ours. */
const { "a bigint": _small, "a large bigint": _large, ...noBigints } = numbers;
const place: Argument = [() => 0, noBigints];
/** What is no whole number ends the process of Node. */
const length: Argument = [() => 4, { ...nothing, negative: -1, none: 0, much: 100 }];
const bytes: Argument = [() => Buffer.alloc(8), views];
const methods: Record<string, readonly Argument[]> = {
  appendFile: [content, option],
  chmod: [mode],
  chown: [owner, owner],
  read: [bytes, number, length, place],
  readFile: [option],
  readv: [[() => [Buffer.alloc(4)], lists], place],
  stat: [option],
  truncate: [number],
  utimes: [time, time],
  write: [bytes, number, [() => 4, numbers], number],
  writeFile: [content, option],
  writev: [[() => [Buffer.alloc(4)], lists], number],
};

/** Of what is the same in no two runs, its kind. */
function plain(value: unknown): unknown {
  if (typeof value !== "object" || value === null || value instanceof Error) return value;
  if (value instanceof Uint8Array || Array.isArray(value)) return value;
  const { name = "" } = value.constructor ?? {};
  const { size, bsize } = value as { size?: unknown; bsize?: unknown };
  return /Stat|Dir|FileHandle/.test(name) ? `${name} ${typeof (size ?? bsize)}` : value;
}

async function settled(call: () => Promise<unknown>, name: string): Promise<unknown> {
  try {
    const value = (await call()) as { close?(): Promise<void> } | string | undefined;
    if (typeof value === "object") await value?.close?.();
    // The name of the folder is another one in each run.
    if (!["mkdtemp", "realpath"].includes(name)) return plain(value);
    return [typeof value, (value as unknown as Buffer | string).length];
  } catch (error) {
    return error;
  }
}

function prepare(at: At): void {
  mkdirSync(at("folder"));
  writeFileSync(at("file"), "contents");
  symlinkSync("file", at("link"));
}

/** What comes of each odd value in the place of one argument, each in a folder of its own. */
async function outcomes(
  fs: Promises,
  name: string,
  taken: readonly Argument[],
  callOf: (fs: Promises, at: At) => Promise<[Call, () => Promise<void>]>,
): Promise<Record<string, unknown>> {
  const all: Record<string, unknown> = {};
  for (const [index, [, odd]] of taken.entries()) {
    for (const [what, value] of Object.entries(odd)) {
      all[`argument ${index + 1}: ${what}`] = await outcomeOf(async (_fs, at) => {
        prepare(at);
        const given = taken.map(([right], place) => (place === index ? value : right(at)));
        const [call, end] = await callOf(fs, at);
        const outcome = shown(await settled(() => call(...given), name), at(""));
        await end();
        return outcome;
      }, fs);
    }
  }
  return all;
}

type Make = (fs: Promises, at: At) => Promise<[Call, () => Promise<void>]>;

function compare(name: string, taken: readonly Argument[], callOf: Make): void {
  test(name, async () => {
    const theirs = await outcomes(nodePromises, name, taken, callOf);
    const actual = await outcomes(ours as unknown as Promises, name, taken, callOf);
    assert.equal(actual, theirs);
  });
}

for (const [name, taken] of Object.entries(functions)) {
  compare(name, taken, async (fs) => {
    const made = (fs as unknown as Record<string, Call>)[name]!;
    return [made, async () => undefined];
  });
}

for (const [name, taken] of Object.entries(methods)) {
  compare(`handle.${name}`, taken, async (fs, at) => {
    const handle = await fs.open(at("file"), "r+");
    const call: Call = (...given) => (handle as unknown as Record<string, Call>)[name]!(...given);
    return [call, () => handle.close()];
  });
}

test.run();

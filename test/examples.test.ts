// The examples of the documentation and of the sources: all compile as strictly as the library
// does, and those that end by themselves are run. Line numbers in compiler errors are those of the
// file that the example stands in, because each example is written after as many empty lines.

import { execFile } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { fileURLToPath } from "node:url";
import { probe } from "@io/core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { skip } from "./support/skip.js";

/** The folder of the repository; this file runs from test/dist. */
const root = fileURLToPath(new URL("../..", import.meta.url));
/** The packages whose sources have examples that are run. */
const packages = ["core", "http"];
/** Those that examples may import. */
const imported = [...packages, "node"];
const runLimitMs = 20_000;
const runMark = "<!-- run -->";

interface Example {
  /** The file it stands in, and the line of its opening fence. */
  readonly path: string;
  readonly line: number;
  readonly text: string;
  /** Ends by itself, with status 0 or the `process.exitCode` that it sets. */
  readonly runs: boolean;
}

interface Ended {
  readonly status: number | null;
  readonly output: string;
}

/** The ts blocks of a Markdown text; a block that is run has the mark on the line after it. */
function examplesInMarkdown(path: string, text: string): Example[] {
  const examples: Example[] = [];
  const lines = text.split("\n");
  let marks = lines.filter((line) => line.trim() === runMark).length;
  for (let index = 0; index < lines.length; index++) {
    const language = /^ *```(\S+)/.exec(lines[index]!)?.[1];
    if (language === undefined) continue;
    const end = lines.findIndex((line, at) => at > index && /^ *```\s*$/.test(line));
    if (end === -1) throw new Error(`${path}:${index + 1}: the block has no end`);
    const runs = lines[end + 1]?.trim() === runMark;
    if (/^(?:ts|typescript|js|javascript)$/.test(language)) {
      const body = lines.slice(index + 1, end).join("\n");
      examples.push({ path, line: index + 1, text: `${body}\n`, runs });
      if (runs) marks--;
    }
    index = end;
  }
  if (marks !== 0) throw new Error(`${path}: "${runMark}" belongs on the line after a ts block`);
  return examples;
}

/** The ts blocks of the comments in a source. All are run: they are the ones that users try. */
function examplesInSource(path: string, text: string): Example[] {
  const comments = text.split("\n").map((line) => /^ *\* ?(?!\/)(.*)$/.exec(line)?.[1] ?? "");
  return examplesInMarkdown(path, comments.join("\n")).map((one) => ({ ...one, runs: true }));
}

function filesUnder(folder: string, ending: string): string[] {
  if (!existsSync(root + folder)) return [];
  return readdirSync(root + folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(ending) && !name.endsWith(`.test${ending}`))
    .map((name) => `${folder}/${name}`)
    .sort();
}

function allExamples(): Example[] {
  const readmes = packages.map((name) => `packages/${name}/README.md`);
  const pages = ["README.md", ...readmes, ...filesUnder("docs", ".md")].filter((path) =>
    existsSync(root + path),
  );
  const sources = packages.flatMap((name) => filesUnder(`packages/${name}/src`, ".ts"));
  const read = (path: string) => readFileSync(root + path, "utf8");
  return [
    ...pages.flatMap((path) => examplesInMarkdown(path, read(path))),
    ...sources.flatMap((path) => examplesInSource(path, read(path))),
  ];
}

function fileName({ path, line }: Example): string {
  return `${path.replace(/[^A-Za-z0-9]+/g, "_")}_${line}`;
}

function execute(file: string, args: string[], cwd: string, limitMs: number): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { cwd, timeout: limitMs, killSignal: "SIGKILL" } as const;
    execFile(file, args, options, (error, stdout, stderr) => {
      const status = error === null ? 0 : typeof error.code === "number" ? error.code : null;
      resolve({ status, output: stdout + stderr });
    });
  });
}

/** Writes the examples as a project of their own and compiles it; returns what tsc printed. */
async function compile(folder: string, examples: readonly Example[]): Promise<string> {
  mkdirSync(`${folder}/node_modules/@io`, { recursive: true });
  for (const name of imported) {
    symlinkSync(`${root}packages/${name}`, `${folder}/node_modules/@io/${name}`);
  }
  const options = { composite: false, declaration: false, declarationMap: false, outDir: "out" };
  const project = {
    extends: `${root}tsconfig.base.json`,
    compilerOptions: { ...options, rootDir: "." },
    include: ["*.ts"],
  };
  writeFileSync(`${folder}/package.json`, JSON.stringify({ type: "module" }));
  writeFileSync(`${folder}/tsconfig.json`, JSON.stringify(project));
  for (const example of examples) {
    const text = "\n".repeat(example.line) + example.text;
    writeFileSync(`${folder}/${fileName(example)}.ts`, text);
  }
  const tsc = `${root}node_modules/typescript/bin/tsc`;
  const { output } = await execute(process.execPath, [tsc, "--pretty", "false"], folder, 90_000);
  return output;
}

/** The lines of tsc's output about one example, with the name of the file that it stands in. */
function errorsOf(example: Example, output: string): string[] {
  const prefix = `${fileName(example)}.ts(`;
  return output
    .split("\n")
    .filter((line) => line.startsWith(prefix))
    .map((line) => `${example.path}(${line.slice(prefix.length)}`);
}

/** Runs a compiled example in an empty folder; returns what is wrong with how it ended. */
async function problemOfRun(
  folder: string,
  example: Example,
  limitMs: number,
): Promise<string | undefined> {
  const cwd = mkdtempSync(`${folder}/run-`);
  const script = `${folder}/out/${fileName(example)}.js`;
  const args = ["--enable-source-maps", "--unhandled-rejections=strict", script];
  const { status, output } = await execute(process.execPath, args, cwd, limitMs);
  const expected = Number(/process\.exitCode = (\d+)/.exec(example.text)?.[1] ?? 0);
  if (status === expected) return undefined;
  const how = status === null ? `did not end within ${limitMs} ms` : `ended with ${status}`;
  return `${example.path}:${example.line}: ${how}\n${output}`;
}

// Examples that must fail, each in its way, so that a check which can no longer fail is noticed.
const broken = {
  misspelt: 'import { IO } from "@io/core";\nconst io = await IO.open();\nio.opneFile("a");\n',
  unused: 'import { IO } from "@io/core";\n',
  throws: 'throw new Error("as it should");\nexport {};\n',
  endless: "setInterval(() => undefined, 1000);\nexport {};\n",
};
const fixtures = Object.fromEntries(
  Object.entries(broken).map(([name, text]) => [name, { path: name, line: 7, text, runs: true }]),
) as Record<keyof typeof broken, Example>;

const test = suite("examples");
mkdirSync(`${root}build`, { recursive: true });
const folder = mkdtempSync(`${root}build/examples-`);
const examples = allExamples();
const compiled = await compile(folder, [...examples, ...Object.values(fixtures)]);

test.after(() => rmSync(folder, { recursive: true, force: true }));

test("blocks are found, with their language, line and mark", () => {
  const page = "a\n```sh\nls\n```\n```ts\nb;\n```\n<!-- run -->\n\n```ts\nc;\n```\n";
  assert.equal(examplesInMarkdown("a.md", page), [
    { path: "a.md", line: 5, text: "b;\n", runs: true },
    { path: "a.md", line: 10, text: "c;\n", runs: false },
  ]);
  const source = "/**\n * A.\n *\n * @example\n * ```ts\n * b;\n *\n * c;\n * ```\n */\nlet d;\n";
  assert.equal(examplesInSource("a.ts", source), [
    { path: "a.ts", line: 5, text: "b;\n\nc;\n", runs: true },
  ]);
  assert.throws(() => examplesInMarkdown("a.md", `text\n${runMark}\n`), /belongs on the line/);
  assert.throws(() => examplesInMarkdown("a.md", "```ts\nb;\n"), /has no end/);
});

test("the examples are found", () => {
  for (const path of ["README.md", "docs/start.md", "packages/core/src/io.ts"]) {
    assert.ok(
      examples.some((example) => example.path === path),
      path,
    );
  }
});

test("an example that does not compile is caught, at its line", () => {
  const [misspelt, ...more] = errorsOf(fixtures.misspelt, compiled);
  assert.match(misspelt!, /^misspelt\(10,4\): error TS2551: .*'opneFile'/);
  assert.equal(more, []);
  assert.match(errorsOf(fixtures.unused, compiled)[0]!, /^unused\(8,.*'IO' is declared but/);
});

test("every example compiles", () => {
  const errors = examples.flatMap((example) => errorsOf(example, compiled));
  assert.ok(errors.length === 0, errors.join("\n"));
  const general = compiled.split("\n").filter((line) => line.startsWith("error"));
  assert.equal(general, []);
});

test("limits.md explains every code of the library", () => {
  const codesIn = (text: string) => new Set(text.match(/\bERR_IO_[A-Z_]*[A-Z]\b/g));
  const sources = filesUnder("packages/core/src", ".ts");
  const used = codesIn(sources.map((path) => readFileSync(root + path, "utf8")).join("\n"));
  const rows = readFileSync(`${root}docs/guides/limits.md`, "utf8").match(/^\| `ERR_IO_\w+/gm);
  assert.equal([...codesIn((rows ?? []).join("\n"))].sort(), [...used].sort());
});

test("an example that fails, or does not end, is caught", async () => {
  assert.match((await problemOfRun(folder, fixtures.throws, runLimitMs))!, /with 1\n.*as it/s);
  assert.match((await problemOfRun(folder, fixtures.endless, 1_000))!, /did not end within/);
});

// `npm run docs` only compiles them: `npm test` runs them.
const compilesOnly = process.env["IO_EXAMPLES"] === "compile";
const running = examples.filter((example) => example.runs && !compilesOnly);
const { chosen, candidates } = probe();
for (const example of running) {
  const name = `runs: ${example.path}:${example.line}`;
  if (chosen === null) {
    skip(test, name, candidates.map((candidate) => candidate.reason).join("; "));
    continue;
  }
  test(name, async () => {
    const problem = await problemOfRun(folder, example, runLimitMs);
    assert.ok(problem === undefined, problem);
  });
}

test.run();

// The files that the tidy test reads, and the shape that its rules have.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The folder of the repository; this file runs from test/dist/tidy. */
export const root = fileURLToPath(new URL("../../..", import.meta.url));

export interface Source {
  readonly path: string;
  readonly text: string;
  readonly lines: readonly string[];
  /** The same lines with comments, strings and regular expressions blanked out. */
  readonly code: readonly string[];
}

export interface Finding {
  readonly line: number;
  readonly message: string;
}

export interface Fixture {
  readonly path: string;
  readonly text: string;
}

/** A rule brings the samples that show it can fail, and those that show it does not always. */
export interface Rule {
  readonly name: string;
  applies(path: string): boolean;
  check(source: Source): Finding[];
  readonly caught: readonly Fixture[];
  readonly passed: readonly Fixture[];
}

const typeScriptTokens = new RegExp(
  [
    /\/\/[^\n]*/,
    /\/\*[\s\S]*?\*\//,
    /"(?:\\.|[^"\\\n])*"/,
    /'(?:\\.|[^'\\\n])*'/,
    /`(?:\\[\s\S]|[^`\\])*`/,
    // A slash starts a regular expression only where a value may stand.
    /(?<=(?:[(,=:[!&|?{};]|=>|\breturn|^)\s*)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\//,
  ]
    .map((token) => token.source)
    .join("|"),
  "gm",
);

const nativeTokens = new RegExp(
  [
    /\/\/[^\n]*/,
    /\/\*[\s\S]*?\*\//,
    /R"([^(\s]*)\([\s\S]*?\)\1"/,
    /"(?:\\.|[^"\\\n])*"/,
    // Between digits the apostrophe only groups them.
    /(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'/,
  ]
    .map((token) => token.source)
    .join("|"),
  "g",
);

function blankTokens(path: string, text: string): string {
  let tokens: RegExp;
  if (isScript(path)) tokens = typeScriptTokens;
  else if (isNative(path)) tokens = nativeTokens;
  else return text;
  return text.replace(tokens, (token) => token.replace(/[^\n]/g, " "));
}

export function makeSource({ path, text }: Fixture): Source {
  return { path, text, lines: text.split("\n"), code: blankTokens(path, text).split("\n") };
}

export function isScript(path: string): boolean {
  return /\.(ts|mjs|js)$/.test(path);
}

export function isNative(path: string): boolean {
  return /\.(cc|c|h|def)$/.test(path);
}

export function isTest(path: string): boolean {
  return path.startsWith("test/") || path.endsWith(".test.ts");
}

/** Written by a program: the rules on how people write do not apply. */
export function isGenerated(path: string): boolean {
  return /pnpm-lock\.yaml$|\.svg$/.test(path) || path === "packages/core/src/engine/abi.ts";
}

/** Every line on which the pattern is found in the code, with the message. */
export function findInCode(source: Source, pattern: RegExp, message: string): Finding[] {
  return source.code.flatMap((text, index) =>
    pattern.test(text) ? [{ line: index + 1, message }] : [],
  );
}

/** Every line on which the pattern is found, comments and strings included, with the message. */
export function findInText(source: Source, pattern: RegExp, message: string): Finding[] {
  return source.lines.flatMap((text, index) =>
    pattern.test(text) ? [{ line: index + 1, message }] : [],
  );
}

/** What git knows or would add: nothing that is ignored, nothing that has been deleted. */
export function readSources(): Source[] {
  // The folder may belong to another user than the one who runs the tests, as in a container.
  const listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const printed = execFileSync("git", ["-c", "safe.directory=*", ...listing], { cwd: root });
  const paths = printed.toString().split("\0").filter(Boolean);
  return paths
    .filter((path) => existsSync(root + path))
    .map((path) => ({ path, text: readFileSync(root + path, "utf8") }))
    .filter(({ text }) => !text.includes("\0"))
    .map(makeSource);
}

// Rules on the walls between packages: the imports and dependencies that each may have.

import { posix } from "node:path";
import { type Finding, isScript, isTest, type Rule, type Source } from "./source.js";

interface Import {
  readonly line: number;
  readonly module: string;
}

/** The modules a source imports; text that only looks like an import is in a string or comment. */
function importsOf({ lines, code }: Source): Import[] {
  const pattern = /\b(?:from|import)\s*\(?\s*["']([^"']+)["']/g;
  return lines.flatMap((text, index) =>
    [...text.matchAll(pattern)]
      .filter((match) => /^(?:from|import)/.test(code[index]!.slice(match.index)))
      .map((match) => ({ line: index + 1, module: match[1]! })),
  );
}

/** "packages/core" for a file of that package, otherwise the first folder. */
function packageOf(path: string): string {
  return /^packages\/[^/]+/.exec(path)?.[0] ?? path.split("/")[0]!;
}

function problemWith(path: string, module: string): string | undefined {
  if (module.startsWith(".")) {
    const target = posix.join(posix.dirname(path), module);
    if (packageOf(target) === packageOf(path)) return undefined;
    return "a path into another package: import it by its name";
  }
  if (/^@io\/[^/]+\/(?:dist|src|internal)\b/.test(module)) {
    return "the inside of another package: import what it exports";
  }
  if (path.startsWith("packages/core/") && !isTest(path) && !module.startsWith("node:")) {
    return "a dependency: @io/core has none";
  }
  if (/^packages\/(?!bench\/)/.test(path) && module === "@io/bench") {
    return "the benchmarks: nothing depends on them";
  }
  return undefined;
}

const imports: Rule = {
  name: "imports stay within the walls",
  applies: (path) => isScript(path) && /^(?:packages|test)\//.test(path),
  check: (source) =>
    importsOf(source).flatMap(({ line, module }) => {
      const message = problemWith(source.path, module);
      return message ? [{ line, message: `${module}: ${message}` }] : [];
    }),
  caught: [
    { path: "packages/kv/src/a.ts", text: 'import { a } from "@io/core/dist/a.js";\n' },
    { path: "packages/kv/src/a.ts", text: 'import { a } from "../../core/src/a.js";\n' },
    { path: "packages/kv/src/a.ts", text: 'import { a } from "@io/bench";\n' },
    { path: "packages/core/src/a.ts", text: 'import { a } from "@io/kv";\n' },
    { path: "packages/core/src/a.ts", text: 'await import("lodash");\n' },
    { path: "packages/core/src/a.ts", text: 'import {\n  a,\n} from "lodash";\n' },
  ],
  passed: [
    { path: "packages/core/src/internal/a.ts", text: 'import { a } from "../b.js";\n' },
    { path: "packages/core/src/a.ts", text: 'import "node:fs";\n' },
    { path: "packages/core/src/a.ts", text: '// import { a } from "lodash";\n' },
    { path: "packages/core/src/a.test.ts", text: 'import { test } from "uvu";\n' },
    { path: "packages/kv/src/a.ts", text: 'import { IO } from "@io/core";\n' },
  ],
};

interface PackageFile {
  readonly name?: string;
  readonly dependencies?: Record<string, string>;
}

/** What a package may have from outside, each with its reason. */
const fromOutside: ReadonlyMap<string, readonly string[]> = new Map([
  // The types of files by their endings: a list that others keep well, and without dependencies.
  ["@io/http", ["mrmime"]],
]);

/** A published package depends on packages of this repository only; peers belong to the bench. */
function checkDependencies(source: Source): Finding[] {
  const { name = "", dependencies = {} } = JSON.parse(source.text) as PackageFile;
  const allowed = fromOutside.get(name) ?? [];
  return Object.keys(dependencies)
    .filter((dependency) => !allowed.includes(dependency))
    .filter((dependency) => name === "@io/core" || !dependency.startsWith("@io/"))
    .map((dependency) => ({
      line: source.lines.findIndex((text) => text.includes(`"${dependency}"`)) + 1,
      message: `${dependency}: not a dependency ${name} may have`,
    }));
}

const dependencies: Rule = {
  name: "published packages depend on nothing from outside",
  applies: (path) => /^packages\/(?!bench\/)[^/]+\/package\.json$/.test(path),
  check: checkDependencies,
  caught: [
    {
      path: "packages/core/package.json",
      text: '{\n"name": "@io/core",\n"dependencies": { "@io/kv": "1" }\n}\n',
    },
    {
      path: "packages/kv/package.json",
      text: '{\n"name": "@io/kv",\n"dependencies": { "redis": "1" }\n}\n',
    },
    {
      path: "packages/http/package.json",
      text: '{\n"name": "@io/http",\n"dependencies": { "mime": "1" }\n}\n',
    },
  ],
  passed: [
    {
      path: "packages/kv/package.json",
      text: '{\n"name": "@io/kv",\n"dependencies": { "@io/core": "1" }\n}\n',
    },
    {
      path: "packages/http/package.json",
      text: '{\n"name": "@io/http",\n"dependencies": { "mrmime": "1" }\n}\n',
    },
  ],
};

export const wallRules: readonly Rule[] = [imports, dependencies];

// Test runners, which load modules in ways of their own.

import { expect, installed } from "../place.mjs";
import { tool } from "../tools.mjs";

async function byVitest(registry) {
  const here = await installed(registry, "vitest");
  here.take("works_body.cjs");
  here.write(
    "works.test.mjs",
    `import { test } from ${JSON.stringify(tool("vitest", "dist/index.js"))};
import { IO, IOError } from "@io/core";
import { works } from "./works_body.cjs";
test("works", () => works(IO, IOError));
`,
  );
  for (const pool of ["threads", "forks", "vmThreads"]) {
    const words = ["run", `--pool=${pool}`, "--root", here.folder];
    const env = { NO_COLOR: "1" };
    const output = await here.must(process.execPath, [tool("vitest", "vitest.mjs"), ...words], {
      env,
    });
    expect(output, /1 passed/, "works on ");
  }
}

async function byJest(registry) {
  const jest = tool("jest", "bin/jest.js");
  const commonjs = await installed(registry, "jest cjs", { type: "commonjs" });
  commonjs.take("works_body.cjs");
  commonjs.write(
    "works.test.js",
    `const { IO, IOError } = require("@io/core");
const { works } = require("./works_body.cjs");
test("works", () => works(IO, IOError));
`,
  );
  const words = ["--rootDir", ".", "--watchman=false", "--colors=false"];
  const reports = await commonjs.must(process.execPath, [jest, ...words]);
  expect(reports, /1 passed/);
  const modules = await installed(registry, "jest esm");
  modules.take("works_body.cjs");
  modules.write(
    "works.test.js",
    `import { IO, IOError } from "@io/core";
import body from "./works_body.cjs";
test("works", () => body.works(IO, IOError));
`,
  );
  const switches = ["--experimental-vm-modules", jest, ...words, "--transform={}"];
  expect(await modules.must(process.execPath, switches), /1 passed/);
}

export const runners = [
  { name: "vitest: threads, forks, vmThreads", slow: true, run: byVitest },
  { name: "jest: CommonJS and ES modules", slow: true, run: byJest },
];

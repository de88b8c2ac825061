// A checkout that was moved or copied, together with its build, is configured again.

import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";

const test = suite("a moved checkout");
const script = new URL("../../scripts/support/cmake_cache.mjs", import.meta.url).href;
const { forgetMovedCache } = (await import(script)) as {
  forgetMovedCache(buildFolder: string, sourceFolder: string): boolean;
};

function cacheOf(build: string, sources: string): string {
  return `CMAKE_CACHEFILE_DIR:INTERNAL=${build}\nCMAKE_HOME_DIRECTORY:INTERNAL=${sources}\n`;
}

test("a cache that names another folder is removed, and what was built stays", () => {
  const here = mkdtempSync(join(tmpdir(), "io-moved-"));
  const build = join(here, "build");
  const cache = join(build, "CMakeCache.txt");
  const engine = join(build, "Release", "io.node");
  try {
    assert.is(forgetMovedCache(build, here), false, "nothing was built yet");
    mkdirSync(join(build, "Release"), { recursive: true });
    writeFileSync(engine, "engine");
    for (const [builtIn, from] of [
      ["/elsewhere/build", "/elsewhere"],
      [build, "/elsewhere"],
      ["/elsewhere/build", here],
    ] as const) {
      mkdirSync(join(build, "CMakeFiles"), { recursive: true });
      writeFileSync(cache, cacheOf(builtIn, from));
      assert.is(forgetMovedCache(build, here), true, builtIn);
      assert.is(existsSync(cache), false);
      assert.is(existsSync(join(build, "CMakeFiles")), false);
    }
    writeFileSync(cache, cacheOf(build, here));
    assert.is(forgetMovedCache(build, here), false);
    assert.ok(existsSync(cache));
    assert.ok(existsSync(engine));
  } finally {
    rmSync(here, { recursive: true });
  }
});

test.run();

// Nothing is captured before the program uses an AsyncLocalStorage, and then its methods are Node's
// own again. Each in a process of its own.

import { spawnSync } from "node:child_process";
import { suite } from "uvu";
import * as assert from "uvu/assert";

const MODULE = new URL("./async_context.js", import.meta.url).href;

const test = suite("async context");

/** What a program prints that is run as a module. */
function printed(program: string): unknown {
  const words = ["--input-type=module", "--eval", program];
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: "utf8" });
  assert.is(status, 0, stderr);
  return JSON.parse(stdout);
}

for (const use of ["storage.run(1, () => 7)", "(storage.enterWith(1), 7)"]) {
  test(`${use} is noticed, and leaves nothing behind`, () => {
    const program = `
      import { AsyncLocalStorage } from "node:async_hooks";
      const { prototype } = AsyncLocalStorage;
      const names = ["run", "enterWith", "exit"];
      const before = names.map((name) => prototype[name]);
      const { storages } = await import(${JSON.stringify(MODULE)});
      const again = await import(${JSON.stringify(`${MODULE}?again`)});
      const storage = new AsyncLocalStorage();
      const unused = [storages.inUse, again.storages.inUse, storage.getStore() ?? null];
      const result = ${use};
      storage.run(2, () => undefined);
      const same = names.map((name, index) => prototype[name] === before[index]);
      const used = [storages.inUse, again.storages.inUse];
      console.log(JSON.stringify({ unused, result, used, same }));`;
    assert.equal(printed(program), {
      unused: [false, false, null],
      result: 7,
      used: [true, true],
      same: [true, true, true],
    });
  });
}

test("a storage that was in use before is noticed, and the methods stay", () => {
  const program = `
    import { AsyncLocalStorage } from "node:async_hooks";
    const { run } = AsyncLocalStorage.prototype;
    const storage = new AsyncLocalStorage();
    const found = await storage.run(0, () => import(${JSON.stringify(MODULE)}));
    const same = AsyncLocalStorage.prototype.run === run;
    console.log(JSON.stringify({ inUse: found.storages.inUse, same }));`;
  assert.equal(printed(program), { inUse: true, same: true });
});

test("where the class is frozen every callback is captured", () => {
  const program = `
    import { AsyncLocalStorage } from "node:async_hooks";
    Object.freeze(AsyncLocalStorage.prototype);
    const { storages } = await import(${JSON.stringify(MODULE)});
    const result = new AsyncLocalStorage().run(1, () => 7);
    console.log(JSON.stringify({ inUse: storages.inUse, result }));`;
  assert.equal(printed(program), { inUse: true, result: 7 });
});

test.run();

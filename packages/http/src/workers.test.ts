// Several Workers on one port.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { pathToFileURL } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { exchange, get, turn } from "./client.test.support.js";
import { serveInWorkers } from "./index.js";

const test = suite("workers");
const folder = mkdtempSync(`${tmpdir()}/io-http-workers-`);
test.after(() => rmSync(folder, { recursive: true }));

function moduleOf(name: string, text: string): URL {
  writeFileSync(`${folder}/${name}.mjs`, text);
  return pathToFileURL(`${folder}/${name}.mjs`);
}

const serving = moduleOf(
  "serving",
  `import { threadId } from "node:worker_threads";
  export default {
    request(exchange) {
      if (exchange.path === "/die") setImmediate(() => { throw new Error("as asked"); });
      exchange.respond(200, null, String(threadId));
    },
  };`,
);

const close = "Connection: close\n";
async function threadAt(port: number): Promise<string> {
  const all = await exchange(port, get("/", close));
  return all.slice(all.indexOf("\r\n\r\n") + 4);
}

test("connections are spread, one that dies is replaced, all can be", async () => {
  const errors: string[] = [];
  const onWorkerError = (error: unknown): void => void errors.push((error as Error).message);
  await using server = await serveInWorkers({
    module: serving,
    workers: 2,
    port: 0,
    onWorkerError,
  });
  const { port } = server.address;
  const threads = new Set<string>();
  while (threads.size < 2) threads.add(await threadAt(port));
  await exchange(port, get("/die", close));
  while (errors.length < 1) await turn();
  assert.equal(errors, ["as asked"]);
  while (threads.size < 3 || server.workers < 2) {
    const thread = await threadAt(port);
    if (thread !== "") threads.add(thread);
  }
  await server.restart();
  assert.is(server.workers, 2);
  const later = await threadAt(port);
  assert.is(threads.has(later), false, later);
});

const dying = moduleOf(
  "dying",
  `export default {
    request(exchange) {
      // While a new one starts, which takes longer.
      if (exchange.path === "/die") setTimeout(() => { throw new Error("as asked"); }, 10);
      exchange.respond(200);
    },
  };`,
);

test("one that dies while all are replaced is replaced once", async () => {
  const errors: string[] = [];
  const onWorkerError = (error: unknown): void => void errors.push((error as Error).message);
  const options = { module: dying, workers: 2, port: 0, onWorkerError };
  await using server = await serveInWorkers(options);
  for (let round = 1; round <= 4; round++) {
    const asked = exchange(server.address.port, get("/die", close));
    await server.restart();
    await asked;
    // A Worker that was leaving may have ended before it has died.
    while (server.workers !== 2) await turn();
  }
  // What came late has come by now.
  await server.restart();
  while (server.workers !== 2) await turn();
  assert.equal(
    errors.filter((message) => message !== "as asked"),
    [],
  );
});

test("a module that cannot serve is an error", async () => {
  const bad = moduleOf("bad", "export default { requst() {} };");
  try {
    await serveInWorkers({ module: bad, workers: 2, port: 0 });
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, /no option requst/);
  }
});

test("an address in the options of a module is an error, since that of all counts", async () => {
  const handler = "request() {}";
  for (const [name, option] of Object.entries({ host: "host: '::'", port: "port: 0" })) {
    const own = moduleOf(`own-${name}`, `export default { ${option}, ${handler} };`);
    const error = await serveInWorkers({ module: own, workers: 1, port: 0 }).then(
      (server) => server.stop(),
      (reason: unknown) => reason as Error,
    );
    assert.match(error?.message ?? "", new RegExp(`have ${name}: give the address to serveIn`));
  }
});

test.run();

/** How a server ends, how it treats clients that do not read, and how many clients it takes. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { cleanUp, start, temporaryFolder, Wire } from "./support.js";

const test = suite("kv ending");

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  test(`${signal} under load: replies are whole, nothing acknowledged is lost`, async () => {
    const folder = temporaryFolder();
    const server = await start({ folder });
    const wires = await Promise.all(Array.from({ length: 10 }, () => Wire.open(server.port)));
    const loads = wires.map(async (wire, writer) => {
      let number = 0;
      const more = () => {
        for (let count = 0; count < 50; count++) {
          wire.send(`SET k:${writer}:${number++} ${"v".repeat(100)}\r\n`);
        }
      };
      more();
      wire.socket.on("data", () => {
        if (wire.socket.writable) more();
      });
      return await wire.rest();
    });
    wires[0]!.socket.once("data", () => server.program.child.kill(signal));
    const received = await Promise.all(loads);
    assert.is((await server.program.ended).status, 0);
    assert.match(server.program.output, /ended; everything acknowledged is in the log/);
    const again = await start({ folder });
    const wire = await Wire.open(again.port);
    for (const [writer, text] of received.entries()) {
      assert.match(text, /^(\+OK\r\n)*$/);
      const count = text.length / 5;
      if (count === 0) continue;
      const keys = Array.from({ length: count }, (_, number) => `k:${writer}:${number}`);
      wire.send(`*${count + 1}\r\n$6\r\nEXISTS\r\n`);
      wire.send(keys.map((key) => `$${key.length}\r\n${key}\r\n`).join(""));
      const expected = `:${count}\r\n`;
      assert.is(await wire.take(expected.length), expected);
    }
    wire.close();
    assert.is(await again.stop(), 0);
  });
}

test("a second signal ends at once", async () => {
  const server = await start({ folder: temporaryFolder() });
  const wire = await Wire.open(server.port);
  wire.socket.pause();
  wire.send(`SET big ${"x".repeat(60_000)}\r\n`);
  wire.send("GET big\r\n".repeat(2000)); // More than sockets hold, so the first signal has to wait.
  const other = await Wire.open(server.port);
  other.send("PING\r\n");
  await other.take(7);
  server.program.child.kill("SIGTERM");
  await server.program.line(/SIGTERM: finishing/);
  server.program.child.kill("SIGTERM");
  assert.is((await server.program.ended).status, 143);
  wire.close();
  other.close();
});

test("SHUTDOWN ends the server", async () => {
  const server = await start({ folder: temporaryFolder() });
  const wire = await Wire.open(server.port);
  wire.send("SET a b\r\nSHUTDOWN\r\n");
  assert.is(await wire.rest(), "+OK\r\n");
  assert.is((await server.program.ended).status, 0);
});

test("a client that does not read is not listened to; it still gets everything", async () => {
  const server = await start({ folder: temporaryFolder() });
  const slow = await Wire.open(server.port);
  const valueBytes = 10_000; // Short enough to be copied for each reply.
  const asked = 60_000;
  slow.send(`SET big ${"x".repeat(valueBytes)}\r\n`);
  assert.is(await slow.take(5), "+OK\r\n");
  slow.socket.pause();
  slow.send("GET big\r\n".repeat(asked));
  const other = await Wire.open(server.port);
  for (let count = 0; count < 100; count++) {
    other.send("INCR n\r\n");
    await other.take(`:${count + 1}\r\n`.length);
  }
  other.send("INFO memory\r\n");
  const info = await other.take(60);
  const used = Number(/used_memory:(\d+)/.exec(info)![1]);
  assert.ok(used < 200_000_000, `${used} bytes for replies of ${asked * valueBytes}`);
  let received = 0;
  const expected = asked * (valueBytes + 10);
  const everything = new Promise<void>((resolve) => {
    slow.socket.removeAllListeners("data");
    slow.socket.on("data", (chunk: string) => {
      received += chunk.length;
      if (received >= expected) resolve();
    });
  });
  slow.socket.resume();
  await everything;
  assert.is(received, expected);
  slow.close();
  other.close();
  assert.is(await server.stop(), 0);
});

test("a pipeline that is written before the first reply is read gets all replies", async () => {
  const server = await start({ folder: temporaryFolder(), more: ["--sync", "no"] });
  for (const [pairs, valueBytes] of [
    [2000, 10_000],
    [100, 100_000],
    [20_000, 100],
  ] as const) {
    const wire = await Wire.open(server.port);
    wire.socket.pause();
    const value = "v".repeat(valueBytes);
    let pipeline = "";
    for (let index = 0; index < pairs; index++) {
      pipeline += `*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$${valueBytes}\r\n${value}\r\n`;
      pipeline += "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
    }
    // The kernel has all of it, so the server has received the part that does not fit into buffers.
    await new Promise<void>((resolve) => {
      wire.socket.write(pipeline, "latin1", () => resolve());
    });
    wire.socket.end();
    wire.socket.resume();
    const reply = `+OK\r\n$${valueBytes}\r\n${value}\r\n`;
    assert.ok((await wire.rest()) === reply.repeat(pairs), `${pairs} pairs of ${valueBytes} bytes`);
  }
  assert.is(await server.stop(), 0);
});

test("clients may hold so much memory; then the one that holds most is disconnected", async () => {
  const more = ["--clients-memory", "20000000", "--sync", "no"];
  const server = await start({ folder: temporaryFolder(), more });
  const value = "v".repeat(50_000);
  const modest = await Wire.open(server.port);
  modest.send(`SET k ${value}\r\n`);
  await modest.take(5);
  modest.socket.pause();
  modest.send("GET k\r\n".repeat(100)); // 5 MB of replies.
  const greedy = await Wire.open(server.port);
  greedy.socket.pause();
  greedy.send("GET k\r\n".repeat(5_000_000)); // 35 MB of requests that wait.
  await server.program.line(/was disconnected: the clients hold more than 20000000 bytes/);
  greedy.close();
  const partial = await Wire.open(server.port);
  partial.send(`*2\r\n$4\r\nECHO\r\n$100000000\r\n${"x".repeat(50_000_000)}`);
  await server.program.line(/was disconnected/, server.program.lines.length);
  partial.close();
  modest.socket.resume();
  await modest.take(100 * (50_000 + "$50000\r\n\r\n".length));
  modest.close();
  assert.is(await server.stop(), 0);
});

test("as many clients can be allowed as the command line takes", async () => {
  const server = await start({ folder: temporaryFolder(), more: ["--clients", "100000"] });
  const wire = await Wire.open(server.port);
  wire.send("CONFIG GET maxclients\r\n");
  assert.is(await wire.take(33), "*2\r\n$10\r\nmaxclients\r\n$6\r\n100000\r\n");
  wire.close();
  assert.is(await server.stop(), 0);
});

test("clients beyond the limit get an error", async () => {
  const server = await start({ folder: temporaryFolder(), more: ["--clients", "2"] });
  const first = await Wire.open(server.port);
  const second = await Wire.open(server.port);
  for (const wire of [first, second]) {
    wire.send("PING\r\n");
    await wire.take(7);
  }
  const third = await Wire.open(server.port);
  assert.is(await third.rest(), "-ERR max number of clients reached\r\n");
  first.send("QUIT\r\n");
  await first.rest();
  for (;;) {
    const next = await Wire.open(server.port);
    next.send("PING\r\n");
    const reply = await next.take(7);
    next.close();
    if (reply === "+PONG\r\n") break; // Until the first has been let go, it is still refused.
  }
  second.close();
  assert.is(await server.stop(), 0);
});

test.after(cleanUp);
test.run();

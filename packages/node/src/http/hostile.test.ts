// Peers that send garbage, flood, stall, end or reset at every step of a request, by http and by
// https: what the server sees, its events and codes, and what the peer gets, are those of Node's.

import { once } from "node:events";
import nodeHttp, { type IncomingMessage, type Server, type ServerResponse } from "node:http";
import nodeHttps from "node:https";
import net, { type AddressInfo, type Socket } from "node:net";
import nodeTls from "node:tls";
import { promisify } from "node:util";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import https from "../https/index.js";
import { Log } from "../net/scene.test.support.js";
import { serverCertificate, serverKey } from "../tls/keys.test.support.js";
import http from "./index.js";

const test = suite("hostile peers");
const secrets = { key: serverKey, cert: serverCertificate };
const turn = promisify(setImmediate);
const BODY_BYTES = 4_000_000;

/** A request, in the parts after each of which a peer may turn bad. */
const PARTS = [
  "PO",
  "ST /up HTT",
  "P/1.1\r\nHo",
  "st: a\r\nContent-Length: 10\r\n",
  "\r\n",
  "01234",
];
const WHOLE = `${PARTS.join("")}56789`;
const LARGE = "GET /large HTTP/1.1\r\nHost: a\r\n\r\n";

/** The peer's end, and the connection below it: of http it is the same. */
interface Peer {
  readonly socket: Socket;
  readonly raw: Socket;
}

/** How a peer gives up. */
const ENDINGS: Record<string, (peer: Peer) => void> = {
  ends: ({ socket }) => void socket.end(),
  resets: ({ raw }) => void raw.resetAndDestroy(),
  "sends garbage": ({ socket }) => void socket.write("\0\xff\r\n\0garbage\r\n\r\n", "latin1"),
};

function watch(log: Log, server: Server): void {
  let count = 0;
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    log.note("server", `clientError ${error.code}`);
    if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
    else socket.destroy();
  });
  server.on("tlsClientError", (error: NodeJS.ErrnoException) => {
    log.note("server", `tlsClientError ${error.code}`);
  });
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    const who = `request ${++count}`;
    log.note(who, `${request.method} ${request.url}`);
    for (const name of ["aborted", "end", "close"]) {
      request.on(name, () => log.note(who, name));
    }
    request.on("error", (error: NodeJS.ErrnoException) => log.note(who, `error ${error.code}`));
    for (const name of ["finish", "close"]) {
      response.on(name, () => log.note(`response to ${who}`, name));
    }
    request.resume();
    if (request.url === "/large") response.end(Buffer.alloc(BODY_BYTES, "l"));
    else request.on("end", () => response.end("thanks"));
  });
}

interface Scene {
  readonly log: Log;
  connect(): Promise<Peer>;
  /** Resolves when the server has seen the ends of all connections. */
  over(): Promise<void>;
}

/** Runs the body on a server of Node's and on ours, and compares what both have seen. */
async function compare(
  makers: readonly (() => Server)[],
  isSecure: boolean,
  body: (scene: Scene) => Promise<void>,
): Promise<void> {
  const seen: object[] = [];
  for (const make of makers) {
    const log = new Log();
    const server = make();
    watch(log, server);
    let open = 0;
    server.on("connection", (socket: Socket) => {
      open++;
      socket.on("close", () => open--);
    });
    server.on("secureConnection", (socket: Socket) => {
      socket.on("close", () => log.note("secured", "close"));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const connect = async (): Promise<Peer> => {
      const raw = net.connect(port, "127.0.0.1");
      raw.on("error", () => {}); // as it likes
      await once(raw, "connect");
      if (!isSecure) return { socket: raw, raw };
      const secured = nodeTls.connect({ socket: raw, rejectUnauthorized: false });
      secured.on("error", () => {}); // the same
      await once(secured, "secureConnect");
      return { socket: secured, raw };
    };
    const over = async (): Promise<void> => {
      // It may have to accept the last one yet.
      for (let quiet = 0; quiet < 20; quiet = open > 0 ? 0 : quiet + 1) await turn();
    };
    await body({ log, connect, over });
    const count = await promisify(server.getConnections.bind(server))();
    log.note("server", `${count} connections are left`);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    seen.push(log.toObject());
  }
  assert.equal(seen[1], seen[0]);
}

const plain = [() => nodeHttp.createServer(), () => http.createServer()];
const secure = [() => nodeHttps.createServer(secrets), () => https.createServer(secrets)];

/** What the peer gets until its connection is over. */
function collected(socket: Socket): () => string {
  let text = "";
  socket.on("data", (data: Buffer) => {
    if (text.length < 1000) text += data.toString("latin1", 0, 1000);
  });
  return () => text.replaceAll(/Date: .*\r\n/g, "").split("\r\n")[0] as string;
}

for (const [scheme, makers, isSecure] of [
  ["http", plain, false],
  ["https", secure, true],
] as const) {
  for (const [ending, end] of Object.entries(ENDINGS)) {
    test(`${scheme}: a peer that ${ending} after each part of a request`, async () => {
      for (let parts = 0; parts <= PARTS.length; parts++) {
        await compare(makers, isSecure, async ({ log, connect, over }) => {
          const peer = await connect();
          const { socket } = peer;
          const text = collected(socket);
          if (parts > 0) socket.write(PARTS.slice(0, parts).join(""));
          // Bytes and a reset that come together are an end to Node, as libuv reports them.
          for (let count = 0; count < 10; count++) await turn();
          end(peer);
          await over();
          log.note("peer", `${parts} parts ${ending === "resets" ? "" : text()}`);
          socket.destroy();
        });
      }
    });
  }

  test(`${scheme}: a peer that resets while it is sent a long answer`, async () => {
    await compare(makers, isSecure, async ({ connect, over }) => {
      const { socket, raw } = await connect();
      socket.write(LARGE);
      await once(socket, "data");
      socket.pause();
      raw.resetAndDestroy();
      await over();
    });
  });

  test(`${scheme}: a peer that reads slowly gets all of it`, async () => {
    await compare(makers, isSecure, async ({ log, connect, over }) => {
      const { socket } = await connect();
      let bytes = 0;
      socket.on("data", (data: Buffer) => {
        bytes += data.length;
        socket.pause();
        setImmediate(() => socket.resume());
      });
      socket.write(LARGE.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
      await once(socket, "end");
      log.note("peer", `${bytes > BODY_BYTES}`);
      socket.destroy();
      await over();
    });
  });
}

test("a flood of requests whose answers nobody reads is held back", async () => {
  const flood = Buffer.from(LARGE.repeat(2000));
  for (const make of plain) {
    const server = make();
    let requests = 0;
    let served: Socket | undefined;
    server.on("connection", (socket: Socket) => {
      served = socket;
    });
    server.on("request", (_request, response) => {
      requests++;
      response.end(Buffer.alloc(20_000));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const socket = net.connect((server.address() as AddressInfo).port, "127.0.0.1");
    socket.on("error", () => {});
    socket.pause();
    for (let round = 0; round < 20; round++) socket.write(flood);
    // It has stopped when nothing comes for many turns.
    for (let seen = -1, quiet = 0; quiet < 200; quiet = seen === requests ? quiet + 1 : 0) {
      seen = requests;
      await turn();
    }
    assert.ok(requests < 40_000, `${requests} requests were taken`);
    assert.ok((served?.writableLength ?? 0) < 100_000_000);
    socket.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

test("errors that a handler throws are the process's, and the server goes on", async () => {
  const faults: string[] = [];
  const onFault = (error: Error): void => void faults.push(error.message);
  const before = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", onFault);
  try {
    for (const make of plain) {
      faults.length = 0;
      const server = make();
      server.on("request", (request: IncomingMessage, response: ServerResponse) => {
        if (request.url === "/throw") throw new Error("of the handler");
        if (request.url === "/") response.end("served");
        request.on("data", () => {
          throw new Error("of the body's handler");
        });
      });
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      const { port } = server.address() as AddressInfo;
      const ask = (path: string): Socket => {
        const socket = net.connect(port, "127.0.0.1");
        const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n`;
        socket.write(`${head}Connection: close\r\n\r\n`);
        return socket;
      };
      const lost = ask("/throw");
      while (faults.length === 0) await turn();
      const cut = ask("/body");
      cut.write("a");
      while (faults.length === 1) await turn();
      assert.equal(faults, ["of the handler", "of the body's handler"]);
      const good = ask("/");
      good.end();
      assert.match(String((await once(good, "data"))[0]), /^HTTP\/1\.1 200 /);
      cut.destroy();
      good.destroy();
      lost.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  } finally {
    process.off("uncaughtException", onFault);
    for (const one of before) process.on("uncaughtException", one);
  }
});

test("a whole request behind garbage on another connection is answered", async () => {
  for (const make of [...plain]) {
    const server = make();
    watch(new Log(), server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const bad = net.connect(port, "127.0.0.1");
    bad.on("error", () => {});
    bad.write(Buffer.alloc(100_000, 0xff));
    const good = net.connect(port, "127.0.0.1");
    good.write(WHOLE);
    const [data] = (await once(good, "data")) as [Buffer];
    assert.match(String(data), /^HTTP\/1\.1 200 /);
    good.destroy();
    bad.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

test.run();

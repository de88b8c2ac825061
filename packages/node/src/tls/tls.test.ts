// TLS over our sockets, both ways.

import { once } from "node:events";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import nodeTls from "node:tls";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import net from "../net/index.js";
import tls from "./index.js";
import {
  ca,
  clientCertificate,
  clientKey,
  otherCertificate,
  otherKey,
  serverCertificate,
  serverKey,
} from "./keys.test.support.js";

const test = suite("tls");
const own = { key: serverKey, cert: serverCertificate };

async function listen(server: import("node:tls").Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

function close(server: import("node:tls").Server): Promise<unknown> {
  return new Promise((resolve) => server.close(resolve));
}

test("bytes both ways, large and small, and the end", async () => {
  const server = tls.createServer(own, (socket) => socket.pipe(socket));
  const port = await listen(server);
  // Node's own client, and ours.
  for (const connect of [tls.connect, nodeTls.connect]) {
    const client = connect({ host: "127.0.0.1", port, ca, servername: "localhost" });
    await once(client, "secureConnect");
    assert.ok(client.authorized);
    client.write("small ");
    client.end(Buffer.alloc(3_000_000, "t"));
    let bytes = 0;
    for await (const data of client) bytes += (data as Buffer).length;
    assert.is(bytes, 3_000_006);
  }
  await close(server);
});

test("SNI, ALPN and a certificate of the client", async () => {
  const server = tls.createServer(
    { ...own, ca, requestCert: true, rejectUnauthorized: false, ALPNProtocols: ["b", "a"] },
    (socket) => {
      const { subject } = socket.getPeerCertificate() as { subject?: { CN: string } };
      socket.end(`${socket.servername} ${socket.alpnProtocol} ${subject?.CN ?? "nobody"}`);
    },
  );
  server.addContext("other.test", { key: otherKey, cert: otherCertificate });
  const port = await listen(server);
  const ask = async (options: object): Promise<string> => {
    const client = tls.connect({ host: "127.0.0.1", port, ca, ...options });
    let text = "";
    await once(client, "secureConnect");
    const name = client.getPeerCertificate().subject.CN;
    for await (const data of client.setEncoding("utf8")) text += data;
    return `${name}: ${text}`;
  };
  const identity = { key: clientKey, cert: clientCertificate };
  const first = await ask({ servername: "localhost", ALPNProtocols: ["a"], ...identity });
  assert.is(first, "localhost: localhost a client");
  const second = await ask({ servername: "other.test", ALPNProtocols: ["b"] });
  assert.is(second, "other.test: other.test b nobody");
  await close(server);
});

test("a name that the certificate does not have is refused", async () => {
  const server = tls.createServer(own);
  const port = await listen(server);
  const client = tls.connect({ host: "127.0.0.1", port, ca, servername: "wrong.test" });
  const [error] = (await once(client, "error")) as [NodeJS.ErrnoException];
  assert.is(error.code, "ERR_TLS_CERT_ALTNAME_INVALID");
  await close(server);
});

test("a session is resumed, and renegotiation is refused", async () => {
  let refused = (_code: unknown): void => {};
  const refusal = new Promise<unknown>((resolve) => {
    refused = resolve;
  });
  const server = tls.createServer({ ...own, maxVersion: "TLSv1.2" }, (socket) => {
    socket.disableRenegotiation();
    socket.on("error", (error: NodeJS.ErrnoException) => {
      refused(error.code);
      socket.destroy();
    });
    socket.write(String(socket.isSessionReused()));
    socket.resume();
  });
  const port = await listen(server);
  let session: Buffer | undefined;
  const seen: string[] = [];
  for (let round = 0; round < 2; round++) {
    const options = { host: "127.0.0.1", port, ca, servername: "localhost" };
    const client: TLSSocket = tls.connect(session ? { ...options, session } : options);
    const [data] = (await once(client, "data")) as [Buffer];
    seen.push(String(data));
    session = client.getSession();
    client.destroy();
  }
  assert.equal(seen, ["false", "true"]);
  const client = tls.connect({ host: "127.0.0.1", port, ca, servername: "localhost" });
  await once(client, "data");
  client.on("error", () => {}); // the end that the server makes of it
  client.renegotiate({}, () => {});
  assert.is(await refusal, "ERR_TLS_RENEGOTIATION_DISABLED");
  client.destroy();
  await close(server);
});

test("a peer that ends without a word of TLS, at either end", async () => {
  const server = tls.createServer(own, (socket) => socket.resume());
  const port = await listen(server);
  for (const connect of [tls.connect, nodeTls.connect]) {
    const client = connect({ host: "127.0.0.1", port, ca, servername: "localhost" });
    await once(client, "secureConnect");
    client.destroy();
  }
  await close(server);
  const raw: Duplex[] = [];
  const second = nodeTls.createServer(own, () => raw[0]?.destroy());
  second.on("connection", (socket: Duplex) => raw.push(socket));
  const client = tls.connect({ host: "127.0.0.1", port: await listen(second), ca }).resume();
  client.on("error", () => {}); // a reset, where the kernel makes one of it
  await once(client, "close");
  await close(second);
});

test("garbage, and a peer that resets in the handshake", async () => {
  const server = tls.createServer(own);
  const port = await listen(server);
  const garbage = net.connect(port, "127.0.0.1").on("error", () => {});
  garbage.write("GET / HTTP/1.1\r\n\r\n");
  const [error] = (await once(server, "tlsClientError")) as [NodeJS.ErrnoException];
  assert.match(error.code ?? "", /^ERR_SSL_/);
  garbage.destroy();
  const reset = net.connect(port, "127.0.0.1");
  await once(reset, "connect");
  reset.resetAndDestroy();
  const [second] = (await once(server, "tlsClientError")) as [NodeJS.ErrnoException];
  assert.is(second.code, "ECONNRESET");
  await close(server);
});

test.run();

// A server with the modules of Node, or with those of @io/node in their place: an echo, answers by
// HTTP and HTTPS, messages of WebSocket, or the files of a folder.
//
// Usage: node_server <node|ours> <echo|http|https|ws|read|stream> [folder]

import type { RequestListener } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { printLine } from "../contender.js";
import { cert, key } from "./certificate.js";
import { text } from "./http_answers.js";

const [who, form = "", folder = "."] = process.argv.slice(2);

// Only what runs is loaded, as a program of either kind would do it.
async function nodeModules() {
  const [net, http, https, fs, promises] = await Promise.all([
    import("node:net"),
    import("node:http"),
    import("node:https"),
    import("node:fs"),
    import("node:fs/promises"),
  ]);
  return { net, http, https, fs, promises };
}

async function ourModules(): ReturnType<typeof nodeModules> {
  const [net, http, https, fs, promises] = await Promise.all([
    import("@io/node/net"),
    import("@io/node/http"),
    import("@io/node/https"),
    import("@io/node/fs"),
    import("@io/node/fs/promises"),
  ]);
  return { net, http, https, fs, promises } as unknown as Awaited<ReturnType<typeof nodeModules>>;
}

const { net, http, https, fs, promises } = await (who === "ours" ? ourModules() : nodeModules());

function echo(socket: Socket): void {
  // The load generator ends its connections in any way it likes.
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk) => {
    if (!socket.write(chunk)) socket.pause();
  });
  socket.on("drain", () => socket.resume());
}

const hello: RequestListener = (_request, response) => {
  response.setHeader("content-type", "text/plain");
  response.end(text);
};

function served(listener: RequestListener) {
  // No limit for idle connections, as with the other servers of HTTP.
  return http.createServer({ keepAliveTimeout: 0 }, listener);
}

async function webSockets() {
  const { WebSocketServer } = await import("ws");
  const server = served(hello);
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => {
    socket.on("error", () => socket.terminate());
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  return server;
}

const forms: Record<string, () => Promise<import("node:net").Server>> = {
  echo: async () => net.createServer({ noDelay: true }, echo),
  http: async () => served(hello),
  https: async () => https.createServer({ keepAliveTimeout: 0, key, cert }, hello),
  ws: webSockets,
  read: async () =>
    served((request, response) => {
      promises.readFile(`${folder}${request.url}`).then(
        (bytes) => response.end(bytes),
        () => response.destroy(),
      );
    }),
  stream: async () =>
    served((request, response) => {
      fs.createReadStream(`${folder}${request.url}`).pipe(response);
    }),
};

const server = await forms[form]!();
server.listen({ host: "127.0.0.1", port: 0, backlog: 4096 }, () => {
  printLine((server.address() as AddressInfo).port);
});

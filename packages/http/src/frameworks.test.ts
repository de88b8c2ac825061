// Frameworks that render on a server: their handlers take a Request and give a Response, and use
// more of both than routers do.

import { createRequestHandler, json, redirect, type ServerBuild } from "@remix-run/server-runtime";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { withServer } from "./client.test.support.js";

const test = suite("frameworks");

/** A build of two routes, as the compiler of Remix makes it. */
function remixBuild(): ServerBuild {
  const build = {
    entry: {
      module: {
        handleError: () => undefined, // it would print what the test asks for
        default: (request: Request, status: number, headers: Headers): Response => {
          headers.set("content-type", "text/html");
          return new Response(`<p>${new URL(request.url).pathname}</p>`, { status, headers });
        },
      },
    },
    routes: {
      root: { id: "root", path: "", module: { default: () => null } },
      page: {
        id: "page",
        parentId: "root",
        path: "page",
        module: { default: () => null, headers: () => ({ "x-page": "1" }) },
      },
      api: {
        id: "api",
        parentId: "root",
        path: "api/:name",
        module: {
          loader: ({ params, request }: { params: object; request: Request }) =>
            json({ ...params, agent: request.headers.get("x-agent") }, { status: 203 }),
          action: async ({ request }: { request: Request }) => {
            const form = await request.formData();
            return redirect(`/page?${String(form.get("to"))}`, {
              headers: [
                ["set-cookie", "a=1"],
                ["set-cookie", "b=2"],
              ],
            });
          },
        },
      },
    },
    assets: { entry: { imports: [], module: "" }, routes: {}, url: "", version: "" },
    assetsBuildDirectory: "",
    publicPath: "/",
    future: {},
    isSpaMode: false,
  };
  return build as unknown as ServerBuild;
}

test("Remix runs on it", async () => {
  const handler = createRequestHandler(remixBuild(), "production");
  await withServer({ fetch: (request) => handler(request) }, async ({ url }) => {
    const page = await fetch(`${url}page`);
    assert.equal([page.status, await page.text()], [200, "<p>/page</p>"]);
    assert.equal(
      [page.headers.get("x-page"), page.headers.get("content-type")],
      ["1", "text/html"],
    );
    const api = await fetch(`${url}api/one`, { headers: { "x-agent": "test" } });
    assert.equal([api.status, await api.json()], [203, { name: "one", agent: "test" }]);
    const data = await fetch(`${url}api/two?_data=api`);
    assert.equal(await data.json(), { name: "two", agent: null });
    const body = new URLSearchParams({ to: "there" });
    const moved = await fetch(`${url}api/one`, { method: "POST", body, redirect: "manual" });
    assert.equal([moved.status, moved.headers.get("location")], [302, "/page?there"]);
    assert.equal(moved.headers.getSetCookie(), ["a=1", "b=2"]);
    assert.is((await fetch(`${url}nothing`)).status, 404);
  });
});

/**
 * What the server of a SvelteKit build does with a request: its `respond(request, options)`
 * checks the origin of forms, clones, reads what it needs, and sets cookies on what it made.
 */
class KitServer {
  async respond(
    request: Request,
    { getClientAddress }: { getClientAddress: () => string },
  ): Promise<Response> {
    const url = new URL(request.url);
    const isForm = request.headers.get("content-type")?.startsWith("multipart/form-data");
    if (request.method === "POST" && isForm) {
      if (request.headers.get("origin") !== url.origin) {
        return new Response("Cross-site form", { status: 403 });
      }
      const copy = request.clone();
      const form = await request.formData();
      const file = form.get("file") as File;
      const copied = (await copy.arrayBuffer()).byteLength;
      return Response.json({ name: file.name, text: await file.text(), copied: copied > 100 });
    }
    // A load function fetches from the server itself with the request as its model.
    const inner = new Request(new URL("/inner", url), { headers: request.headers });
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        const text = `${inner.headers.get("cookie")} ${getClientAddress()}`;
        for (const piece of [text, " and", " more"]) controller.enqueue(Buffer.from(piece));
        controller.close();
      },
    });
    const response = new Response(stream, { headers: { etag: '"1"' } });
    response.headers.append("set-cookie", "a=1; Path=/");
    response.headers.append("set-cookie", "b=2; Path=/");
    if (request.headers.get("if-none-match") !== '"1"') return response;
    return new Response(undefined, { status: 304, headers: response.headers });
  }
}

test("what SvelteKit asks of a request and of a response works", async () => {
  const server = new KitServer();
  await withServer(
    {
      fetch: (request, { remoteAddress }) => {
        const address = remoteAddress?.family === "unix" ? "" : (remoteAddress?.host ?? "");
        return server.respond(request, { getClientAddress: () => address });
      },
    },
    async ({ url }) => {
      const page = await fetch(url, { headers: { cookie: "c=3" } });
      assert.is(await page.text(), "c=3 127.0.0.1 and more");
      assert.equal(page.headers.getSetCookie(), ["a=1; Path=/", "b=2; Path=/"]);
      const same = await fetch(url, { headers: { "if-none-match": '"1"' } });
      assert.equal([same.status, same.headers.get("etag")], [304, '"1"']);
      const body = new FormData();
      body.set("file", new File(["content"], "name.txt", { type: "text/plain" }));
      const headers = { origin: new URL(url).origin };
      const sent = await fetch(url, { method: "POST", body, headers });
      assert.equal(await sent.json(), { name: "name.txt", text: "content", copied: true });
      const other = await fetch(url, { method: "POST", body, headers: { origin: "http://b" } });
      assert.is(other.status, 403);
    },
  );
});

test.run();

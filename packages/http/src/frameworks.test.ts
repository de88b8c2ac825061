// Remix on the form `fetch`. A framework that renders on a server uses more of a Request and of a
// Response than routers do. SvelteKit has sveltekit.test.ts, because it has to be built first.

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

test.run();

// SvelteKit on the form `fetch`: a small app is built as its users build theirs, and its server
// answers what `serve` is given, as every adapter lets it do.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Server as KitServer, SSRManifest } from "@sveltejs/kit";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { withServer } from "./client.test.support.js";
import type { Exchange, Server } from "./index.js";

const test = suite("sveltekit");

/** What the app waits for within an answer: the test decides when it comes. */
const shared = globalThis as { later?: Promise<string> };

const APP: Record<string, string> = {
  "package.json": `{ "type": "module", "private": true }`,
  // An adapter of SvelteKit, as small as one can be.
  "svelte.config.js": `
    import { writeFileSync } from "node:fs";
    const adapt = (builder) => {
      builder.writeServer("build");
      const manifest = builder.generateManifest({ relativePath: "./" });
      writeFileSync("build/manifest.js", "export const manifest = " + manifest);
    };
    export default { kit: { adapter: { name: "test", adapt } } };`,
  "vite.config.js": `
    import { sveltekit } from "@sveltejs/kit/vite";
    export default { plugins: [sveltekit()], ssr: { noExternal: true } };`,
  "src/app.html": `<html><head>%sveltekit.head%</head><body>%sveltekit.body%</body></html>`,
  "src/hooks.server.js": `
    export const handleError = () => undefined; // it would print what the test asks for
    export const handle = async ({ event, resolve }) => {
      event.locals.agent = event.request.headers.get("x-agent");
      const response = await resolve(event);
      response.headers.set("x-handled", "1");
      return response;
    };`,
  // A page with cookies, which asks an endpoint of the app, and has a form.
  "src/routes/+page.server.js": `
    import { fail, redirect } from "@sveltejs/kit";
    export const load = async ({ cookies, fetch, getClientAddress, locals, setHeaders }) => {
      const visits = Number(cookies.get("visits") ?? 0) + 1;
      cookies.set("visits", String(visits), { path: "/" });
      cookies.set("theme", "dark", { path: "/" });
      setHeaders({ "cache-control": "max-age=1" });
      const { asked } = await (await fetch("/api?asked=inside")).json();
      return { text: [visits, getClientAddress(), locals.agent, asked].join(" ") };
    };
    export const actions = {
      default: async ({ request }) => {
        const form = await request.formData();
        const name = form.get("name");
        if (name === "") return fail(400, { said: "no name" });
        if (name === "away") redirect(303, "/elsewhere");
        return { said: name + " sent " + (await form.get("file").text()) };
      },
    };`,
  "src/routes/+page.svelte": `
    <script>
      let { data, form } = $props();
    </script>
    <h1>{data.text}</h1>
    <p>{form?.said}</p>`,
  "src/routes/api/+server.js": `
    import { json } from "@sveltejs/kit";
    export const GET = ({ url }) => json({ asked: url.searchParams.get("asked") });
    export const POST = async ({ request, cookies }) => {
      if (request.headers.get("content-type") !== "application/json") {
        return new Response(request.body);
      }
      cookies.delete("visits", { path: "/" });
      return json({ got: await request.json() }, { status: 201 });
    };`,
  "src/routes/streamed/+page.server.js": `
    export const load = () => ({ now: "at once", later: globalThis.later });`,
  "src/routes/streamed/+page.svelte": `
    <script>
      let { data } = $props();
    </script>
    <p>{data.now}</p>
    {#await data.later}<p>is waited for</p>{:then value}<p>{value}</p>{/await}`,
};

/** Why the app cannot be built by this Node; empty when it can. */
function whyNoBuild(): string {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const isNew = (major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major >= 23;
  return isNew ? "" : `Vite needs Node 20.19 or 22.12, and this is ${process.versions.node}`;
}

/** Builds the app into the folder. The packages are those of this one. */
function buildIn(folder: string): void {
  for (const [name, text] of Object.entries(APP)) {
    mkdirSync(dirname(`${folder}/${name}`), { recursive: true });
    writeFileSync(`${folder}/${name}`, text);
  }
  // A folder of the app's own: Vite writes into it.
  mkdirSync(`${folder}/node_modules`);
  for (const name of ["@sveltejs", "svelte", "vite"]) {
    const installed = fileURLToPath(new URL(`../node_modules/${name}`, import.meta.url));
    symlinkSync(installed, `${folder}/node_modules/${name}`);
  }
  const vite = dirname(createRequire(import.meta.url).resolve("vite/package.json"));
  execFileSync(process.execPath, [`${vite}/bin/vite.js`, "build", "--logLevel", "warn"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NODE_ENV: "production" },
  });
}

/** The server that was built into the folder, ready to answer. */
async function builtServer(folder: string): Promise<KitServer> {
  const from = async (name: string): Promise<unknown> =>
    await import(pathToFileURL(`${folder}/build/${name}`).href);
  const { Server: Kit } = (await from("index.js")) as {
    Server: new (manifest: SSRManifest) => KitServer;
  };
  const { manifest } = (await from("manifest.js")) as { manifest: SSRManifest };
  const kit = new Kit(manifest);
  await kit.init({ env: {} });
  return kit;
}

async function withKit(use: (server: Server) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(`${tmpdir()}/io-http-sveltekit-`);
  try {
    buildIn(folder);
    const kit = await builtServer(folder);
    const options = {
      fetch: (request: Request, { remoteAddress }: Exchange): Promise<Response> => {
        const host = remoteAddress?.family === "unix" ? "" : (remoteAddress?.host ?? "");
        return kit.respond(request, { getClientAddress: () => host });
      },
    };
    await withServer(options, use);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function checkPages({ url }: Server): Promise<void> {
  const page = await fetch(url, { headers: { cookie: "visits=6", "x-agent": "test" } });
  assert.is(page.status, 200);
  assert.match(await page.text(), "<h1>7 127.0.0.1 test inside</h1>");
  assert.is(page.headers.get("cache-control"), "max-age=1");
  assert.is(page.headers.get("x-handled"), "1");
  const cookies = page.headers.getSetCookie().map((cookie) => cookie.split(";")[0]);
  assert.equal(cookies, ["visits=7", "theme=dark"]);
  const head = await fetch(url, { method: "HEAD" });
  assert.equal([head.status, await head.text()], [200, ""]);
  const missing = await fetch(`${url}missing`);
  assert.equal([missing.status, missing.headers.get("x-handled")], [404, "1"]);
}

async function checkEndpoint({ url }: Server): Promise<void> {
  const got = await fetch(`${url}api?asked=outside`);
  assert.equal(await got.json(), { asked: "outside" });
  const headers = { "content-type": "application/json" };
  const sent = await fetch(`${url}api`, { method: "POST", headers, body: '{"a":1}' });
  assert.equal([sent.status, await sent.json()], [201, { got: { a: 1 } }]);
  assert.match(sent.headers.get("set-cookie") ?? "", /^visits=; .*Max-Age=0/);
  const body = Buffer.alloc(1_000_000, "0123456789");
  const echoed = await fetch(`${url}api`, { method: "POST", body });
  assert.ok(Buffer.from(await echoed.arrayBuffer()).equals(body));
  const none = await fetch(`${url}api`, { method: "DELETE" });
  assert.equal([none.status, none.headers.get("allow")], [405, "GET, POST, HEAD"]);
}

async function checkForm({ url }: Server): Promise<void> {
  const post = (name: string, origin: string): Promise<Response> => {
    const body = new FormData();
    body.set("name", name);
    body.set("file", new File(["a file"], "name.txt", { type: "text/plain" }));
    const headers = { origin, accept: "text/html" };
    return fetch(url, { method: "POST", body, headers, redirect: "manual" });
  };
  const { origin } = new URL(url);
  const done = await post("Someone", origin);
  assert.equal(
    [done.status, /<p>(.*)<\/p>/.exec(await done.text())?.[1]],
    [200, "Someone sent a file"],
  );
  const failed = await post("", origin);
  assert.equal([failed.status, /<p>(.*)<\/p>/.exec(await failed.text())?.[1]], [400, "no name"]);
  const moved = await post("away", origin);
  assert.equal([moved.status, moved.headers.get("location")], [303, "/elsewhere"]);
  assert.is((await post("Someone", "http://other.example")).status, 403);
}

// The beginning of the page must be there before the rest of it is known to the app.
async function checkStream({ url }: Server): Promise<void> {
  let resolve: (text: string) => void = () => undefined;
  shared.later = new Promise((resolveIt) => {
    resolve = resolveIt;
  });
  const { body } = await fetch(`${url}streamed`);
  let text = "";
  for await (const piece of body as unknown as AsyncIterable<Uint8Array>) {
    text += Buffer.from(piece).toString();
    if (text.includes("is waited for")) resolve("came later");
  }
  assert.match(text, "<p>at once</p>");
  const [begin = "", end = ""] = text.split("</html>");
  assert.equal([begin.includes("came later"), end.includes("came later")], [false, true], text);
}

const why = whyNoBuild();
const name = "a SvelteKit app: a page, an endpoint, a form, cookies, and what is streamed";
if (why === "") {
  test(name, () =>
    withKit(async (server) => {
      await checkPages(server);
      await checkEndpoint(server);
      await checkForm(server);
      await checkStream(server);
    }),
  );
} else {
  test.skip(name);
  process.stdout.write(`skipped: ${name}: ${why}\n`);
}

test.run();

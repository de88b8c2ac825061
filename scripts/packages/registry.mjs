// A registry on loopback, empty at first, that knows no other registry.

import { mkdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { root } from "../support/paths.mjs";
import { runOrFail } from "../support/step.mjs";
import { toolsFolder } from "./tools.mjs";

const folder = `${root}/build/packages/registry`;

function configuration() {
  return {
    self_path: folder,
    storage: `${folder}/storage`,
    uplinks: {},
    packages: { "**": { access: ["$all"], publish: ["$all"], unpublish: ["$all"] } },
    auth: { htpasswd: { file: `${folder}/users`, max_users: -1 } },
    web: { enable: false },
    log: { type: "file", path: `${folder}/log`, format: "json", level: "warn" },
    max_body_size: "10mb",
  };
}

/** Starts it on a free port. `npmWords` make npm use it, and `stop` ends it. */
export async function startRegistry() {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const { runServer } = createRequire(`${toolsFolder}/package.json`)("verdaccio");
  const server = await runServer(configuration());
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address();
  const host = `127.0.0.1:${port}`;
  return {
    url: `http://${host}/`,
    // npm publishes with a token only, and this registry takes every one.
    npmWords: [`--registry=http://${host}/`, `--//${host}/:_authToken=none`],
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

export async function publish(registry, tarball, ...words) {
  await runOrFail("npm", ["publish", tarball, ...registry.npmWords, ...words]);
}

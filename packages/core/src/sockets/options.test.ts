// An option that the system does not have, which no machine of the tests lacks.

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadNative } from "../engine/load.js";
import { IOError } from "../errors.js";
import { settingsFrom } from "./options.js";

const test = suite("options");

/** What is thrown while the system has none of these names. */
function without(names: readonly string[], call: () => unknown): unknown {
  const constants = loadNative().socketConstants as Record<string, number>;
  const kept = names.map((name) => [name, constants[name]] as const);
  for (const name of names) delete constants[name];
  try {
    call();
    return undefined;
  } catch (error) {
    return error;
  } finally {
    for (const [name, number] of kept) if (number !== undefined) constants[name] = number;
  }
}

test("an option that the system does not have is named, with the systems that have it", () => {
  const error = without(["TCP_USER_TIMEOUT"], () =>
    settingsFrom({ noDelay: true, userTimeoutMs: 1 }, ["noDelay", "userTimeoutMs"], "setOptions"),
  );
  assert.instance(error, IOError);
  assert.is((error as IOError).code, "ENOTSUP");
  assert.is(
    (error as IOError).message,
    "setOptions: this system has no userTimeoutMs (TCP_USER_TIMEOUT): Linux has it, since 2.6.37",
  );
});

test("a system with another name for an option has it", () => {
  const call = (): unknown => settingsFrom({ keepAlive: { idleMs: 1 } }, ["keepAlive"], "connect");
  assert.is(without(["SO_REUSEPORT_LB"], call), undefined);
  const error = without(["TCP_KEEPIDLE", "TCP_KEEPALIVE"], call);
  assert.match((error as IOError).message, "no keepAlive.idleMs (TCP_KEEPIDLE)");
});

test.run();

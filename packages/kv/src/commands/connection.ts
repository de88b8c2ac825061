/** Commands on the connection itself: greeting, names, leaving. */

import { toIndex } from "../integers.js";
import { type Call, type ClientState, type Command, command, integerArgument } from "./command.js";
import { REDIS_VERSION } from "./info.js";

export const connectionCommands: Command[] = [
  command("ping", -1, ping),
  command("echo", 2, (call) => call.reply.bulk(call.request.text(1))),
  command("hello", -1, hello),
  command("auth", -2, auth),
  command("select", 2, select),
  command("quit", -1, quit),
  command("reset", 1, reset),
  command("multi", 1, multi),
  command("exec", 1, exec),
  command("discard", 1, discard),
  command("client", -2, client),
];

function ping(call: Call): void {
  if (call.request.count > 2) {
    call.reply.error("ERR wrong number of arguments for 'ping' command");
  } else if (call.request.count === 2) {
    call.reply.bulk(call.request.text(1));
  } else {
    call.reply.simple("PONG");
  }
}

function hello(call: Call): void {
  const { request, reply } = call;
  let protocol: 2 | 3 = reply.protocol;
  let name: string | undefined;
  if (request.count > 1) {
    const version = integerArgumentNamed(call);
    if (version === undefined) return;
    if (version !== 2 && version !== 3) {
      reply.error("NOPROTO unsupported protocol version");
      return;
    }
    protocol = version;
  }
  for (let index = 2; index < request.count; ) {
    if (request.is(index, "setname") && index + 1 < request.count) {
      name = request.text(index + 1);
      if (!nameIsValid(call, name)) return;
      index += 2;
    } else if (request.is(index, "auth") && index + 2 < request.count) {
      if (request.text(index + 1) !== "default") {
        reply.error("WRONGPASS invalid username-password pair or user is disabled.");
        return;
      }
      index += 3; // The default user has no password, so any is right, as in Redis.
    } else {
      reply.error(`ERR Syntax error in HELLO option '${request.text(index)}'`);
      return;
    }
  }
  if (name !== undefined) call.client.name = name;
  reply.protocol = protocol;
  reply.map(7);
  const fields: [string, string][] = [
    ["server", "redis"],
    ["version", REDIS_VERSION],
  ];
  for (const [field, held] of fields) {
    reply.text(field);
    reply.text(held);
  }
  reply.text("proto");
  reply.integer(protocol);
  reply.text("id");
  reply.integer(call.client.id);
  reply.text("mode");
  reply.text("standalone");
  reply.text("role");
  reply.text("master");
  reply.text("modules");
  reply.array(0);
}

function integerArgumentNamed(call: Call): number | undefined {
  const text = call.request.text(1);
  if (/^-?[0-9]{1,9}$/.test(text)) return Number(text);
  call.reply.error("ERR Protocol version is not an integer or out of range");
  return undefined;
}

function auth(call: Call): void {
  const { request, reply } = call;
  if (request.count > 3) {
    reply.error("ERR syntax error");
    return;
  }
  if (request.count === 3) {
    // The default user has no password, so any is right, as in Redis.
    if (request.text(1) === "default") reply.ok();
    else reply.error("WRONGPASS invalid username-password pair or user is disabled.");
    return;
  }
  reply.error(
    "ERR AUTH <password> called without any password configured for the default user. " +
      "Are you sure your configuration is correct?",
  );
}

function select(call: Call): void {
  const index = integerArgument(call, 1);
  if (index === undefined) return;
  // A client that goes on as if it had another database would mix its keys with others'.
  call.client.database = toIndex(index);
  if (call.client.database === 0) call.reply.ok();
  else call.reply.error("ERR DB index is out of range");
}

function multi(call: Call): void {
  if (call.client.inTransaction) {
    call.reply.error("ERR MULTI calls can not be nested");
    return;
  }
  call.client.inTransaction = true;
  call.reply.error("ERR MULTI is not supported; nothing is run until EXEC or DISCARD");
}

function exec(call: Call): void {
  if (call.client.inTransaction) {
    call.reply.error("EXECABORT Transaction discarded because MULTI is not supported");
  } else {
    call.reply.error("ERR EXEC without MULTI");
  }
  call.client.inTransaction = false;
}

function discard(call: Call): void {
  if (call.client.inTransaction) call.reply.ok();
  else call.reply.error("ERR DISCARD without MULTI");
  call.client.inTransaction = false;
}

function quit(call: Call): void {
  call.reply.ok();
  call.client.closing = true;
}

function reset(call: Call): void {
  call.reply.protocol = 2;
  call.client.name = "";
  call.client.database = 0;
  call.client.inTransaction = false;
  call.reply.simple("RESET");
}

function client(call: Call): void {
  const { request, reply, engine } = call;
  const state = call.client;
  if (request.is(1, "id") && request.count === 2) {
    reply.integer(state.id);
  } else if (request.is(1, "getname") && request.count === 2) {
    if (state.name === "") reply.nil();
    else reply.bulk(state.name);
  } else if (request.is(1, "setname") && request.count === 3) {
    if (!nameIsValid(call, request.text(2))) return;
    state.name = request.text(2);
    reply.ok();
  } else if (request.is(1, "setinfo") && request.count === 4) {
    setInfo(call);
  } else if (request.is(1, "info") && request.count === 2) {
    reply.verbatim(`${describeClient(state, engine.nowMs)}\n`);
  } else if (request.is(1, "list")) {
    listClients(call);
  } else if ((request.is(1, "no-evict") || request.is(1, "no-touch")) && request.count === 3) {
    reply.ok(); // Nothing is ever evicted here.
  } else {
    reply.error(
      `ERR unknown subcommand or wrong number of arguments for '${request.text(1)}'. ` +
        "Known are ID, GETNAME, SETNAME, SETINFO, INFO, LIST, NO-EVICT and NO-TOUCH.",
    );
  }
}

function listClients(call: Call): void {
  const { request, reply, engine } = call;
  let clients = [...engine.clients()];
  if (request.count === 4 && request.is(2, "type")) {
    const type = request.text(3).toLowerCase();
    if (!["normal", "master", "replica", "slave", "pubsub"].includes(type)) {
      reply.error(`ERR Unknown client type '${request.text(3)}'`);
      return;
    }
    if (type !== "normal") clients = [];
  } else if (request.count >= 4 && request.is(2, "id")) {
    const ids = new Set<number>();
    for (let index = 3; index < request.count; index++) {
      const id = integerArgument(call, index);
      if (id === undefined) return;
      ids.add(toIndex(id));
    }
    clients = clients.filter((each) => ids.has(each.id));
  } else if (request.count !== 2) {
    reply.error("ERR syntax error");
    return;
  }
  const lines = clients.map((each) => `${describeClient(each, engine.nowMs)}\n`);
  reply.verbatim(lines.join(""));
}

function setInfo(call: Call): void {
  const { request, reply } = call;
  const text = request.text(3);
  if (!/^[!-~]*$/.test(text)) {
    reply.error(`ERR ${request.text(2)} cannot contain spaces, newlines or special characters.`);
  } else if (request.is(2, "lib-name")) {
    call.client.libraryName = text;
    reply.ok();
  } else if (request.is(2, "lib-ver")) {
    call.client.libraryVersion = text;
    reply.ok();
  } else {
    reply.error(`ERR Unrecognized option '${request.text(2)}'`);
  }
}

function nameIsValid(call: Call, name: string): boolean {
  if (/^[!-~]*$/.test(name)) return true;
  call.reply.error("ERR Client names cannot contain spaces, newlines or special characters.");
  return false;
}

function describeClient(state: ClientState, nowMs: number): string {
  const age = Math.floor((nowMs - state.sinceMs) / 1000);
  return (
    `id=${state.id} addr=${state.address} laddr=${state.localAddress} name=${state.name} ` +
    `age=${age} flags=N db=${state.database} multi=-1 cmd=${state.lastCommand} user=default ` +
    `lib-name=${state.libraryName} lib-ver=${state.libraryVersion}`
  );
}

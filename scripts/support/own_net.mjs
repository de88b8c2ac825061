// Loaded before a test of Node's: then `require("net")` gives @io/node/net. For tests alone.

import { Module } from "node:module";

const { default: net } = await import("../../packages/node/dist/net/index.js");
const load = Module._load;

Module._load = function (request, parent, isMain) {
  if (request === "net" || request === "node:net") return net;
  return Reflect.apply(load, this, [request, parent, isMain]);
};

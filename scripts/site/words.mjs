// What typedoc's own validation does not see: it accepts a parameter, a counter or a class's
// example that is missing. This reads its JSON and names each.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { root } from "../support/paths.mjs";
import { StepError } from "../support/step.mjs";
import { jsonFile, sitePackages } from "./packages.mjs";

/** The numbers that typedoc's JSON has for kinds. */
const kinds = { class: 128, constructor: 512, function: 64, method: 2048 };

/** Calls that fail in no way that a caller has to know. */
const neverFail = new Set([
  ...["ref", "unref", "close", "return", "available", "constructor"],
  "Scope.cancel",
]);

/** The category of what has none, as typedoc.config.mjs names it. */
const uncategorized = "Members";

function text(parts) {
  return (parts ?? []).map((part) => part.text).join("");
}

function isDescribed(comment) {
  return text(comment?.summary).trim() !== "";
}

function hasTag(comment, tag) {
  return (comment?.blockTags ?? []).some((one) => one.tag === tag);
}

/** Every reflection below one, with the names that lead there. */
function* walk(reflection, path = []) {
  for (const child of reflection.children ?? []) {
    const names = [...path, child.name];
    yield [child, names.join(".")];
    yield* walk(child, names);
  }
}

/** Type literals inside of types, such as the options that a call takes: their members count. */
function* literalsIn(type) {
  if (type === null || typeof type !== "object") return;
  if (Array.isArray(type)) {
    for (const one of type) yield* literalsIn(one);
    return;
  }
  if (type.type === "reflection" && type.declaration?.children) yield type.declaration;
  for (const value of Object.values(type)) yield* literalsIn(value);
}

function problemsOfSignature(signature, name) {
  const problems = [];
  const parameters = (signature.parameters ?? []).filter((one) => one.name !== "this");
  for (const parameter of parameters) {
    if (isDescribed(parameter.comment)) continue;
    problems.push(`${name}: the parameter ${parameter.name} has no @param`);
  }
  const settles = signature.type?.name === "Promise";
  const isSymbol = /\[.*\]$/.test(name);
  const last = name.split(".").at(-1);
  const fails = !neverFail.has(last) && !neverFail.has(name.split(".").slice(-2).join("."));
  const mayFail = (parameters.length > 0 || settles) && fails && !isSymbol;
  if (mayFail && !hasTag(signature.comment, "@throws")) problems.push(`${name}: no @throws`);
  return problems;
}

function problemsOf(reflection, name) {
  const problems = [];
  const inherited = reflection.inheritedFrom !== undefined;
  const calls = [kinds.constructor, kinds.function, kinds.method].includes(reflection.kind);
  if (calls && !inherited) {
    for (const signature of reflection.signatures ?? []) {
      // One that the class does not write down makes an empty object.
      if (reflection.kind === kinds.constructor && !signature.parameters) continue;
      if (!isDescribed(signature.comment)) problems.push(`${name}: not described`);
      problems.push(...problemsOfSignature(signature, name));
    }
  }
  for (const literal of literalsIn(reflection.type)) {
    for (const member of literal.children ?? []) {
      if (member.signatures !== undefined || isDescribed(member.comment)) continue;
      problems.push(`${name}: the option ${member.name} is not described`);
    }
  }
  if (reflection.kind === kinds.class && !hasTag(reflection.comment, "@example")) {
    problems.push(`${name}: a class without an @example`);
  }
  return problems;
}

/** A public name of a package that is in no part of the reference. */
function problemsOfCategories(module) {
  const names = new Map(module.children.map(({ id, name }) => [id, name]));
  return (module.categories ?? [])
    .filter(({ title }) => title === uncategorized)
    .flatMap(({ children }) => children.map((id) => `${names.get(id)}: no @category`));
}

/** The counters have a line each, and nothing else has. */
async function problemsOfCounters(core) {
  const abi = `${root}/packages/core/dist/engine/abi.js`;
  const { COUNTER_NAMES } = await import(pathToFileURL(abi).href);
  const stats = core.children.find(({ name }) => name === "Stats");
  const lines = new Set((stats?.children ?? []).map(({ name }) => name));
  const counted = new Set([...COUNTER_NAMES, "strays"]);
  return [
    ...[...counted].filter((name) => !lines.has(name)).map((name) => `Stats: ${name} has no line`),
    ...[...lines].filter((name) => !counted.has(name)).map((name) => `Stats: no counter ${name}`),
  ];
}

/** Each code of the library has a row in the guide, and each row is the code of some call. */
function problemsOfCodes(json) {
  const codesIn = (source) => new Set(source.match(/\bERR_IO_[A-Z_]*[A-Z]\b/g));
  const guide = readFileSync(`${root}/docs/guides/limits.md`, "utf8");
  const rows = codesIn((guide.match(/^\| `ERR_IO_\w+/gm) ?? []).join("\n"));
  const named = codesIn(json);
  return [
    ...[...named].filter((code) => !rows.has(code)).map((code) => `${code}: not in limits.md`),
    ...[...rows].filter((code) => !named.has(code)).map((code) => `${code}: no call names it`),
  ];
}

/** The comments of the declarations alone: the guides, which the JSON has as well, name all. */
function commentsOf(project) {
  return JSON.stringify({ ...project, documents: [], readme: [] });
}

/** Throws an error that names everything without words. */
export async function checkWords() {
  const problems = [];
  let names = 0;
  for (const sitePackage of sitePackages) {
    const project = JSON.parse(readFileSync(`${root}/${jsonFile(sitePackage)}`, "utf8"));
    const reflections = [...walk(project)];
    names += reflections.length;
    for (const [reflection, name] of reflections) problems.push(...problemsOf(reflection, name));
    problems.push(...problemsOfCategories(project));
    if (sitePackage.name !== "@io/core") continue;
    problems.push(...(await problemsOfCounters(project)), ...problemsOfCodes(commentsOf(project)));
  }
  if (problems.length > 0) throw new StepError(problems.join("\n"));
  return `${names} names`;
}

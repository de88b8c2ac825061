// Copies and watches that are broken on purpose, each in one way: see sabotage.ts.

import { chmodSync, lstatSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Sabotage } from "./sabotage.js";

/** A file or link of what was copied, or null. */
function oneName(path: string): string | null {
  const names = readdirSync(path, { recursive: true, encoding: "utf8" });
  const paths = names.map((name) => join(path, name));
  return paths.find((one) => !isFolder(one)) ?? null;
}

function isFolder(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

export const treeSabotages: readonly Sabotage[] = [
  {
    name: "a copy leaves a name out",
    foundAs: /the trees after a copy/,
    shownBy: "copies",
    wrap: (copy) => async (from, to, options, copier) => {
      const made = await copy(from, to, options, copier);
      const lost = options.recursive && isFolder(to) && to.startsWith("/") ? oneName(to) : null;
      if (lost !== null) rmSync(lost);
      return made;
    },
  },
  {
    name: "a copy gives a folder other permissions",
    foundAs: /the trees after a copy/,
    shownBy: "copies",
    wrap: (copy) => async (from, to, options, copier) => {
      const made = await copy(from, to, options, copier);
      if (to.startsWith("/") && isFolder(to)) chmodSync(to, 0o711);
      return made;
    },
  },
  {
    name: "a copy replaces what is to stay",
    foundAs: /the trees after a copy|says it has made|a copy that has to fail|a copy failed with/,
    shownBy: "copies",
    wrap: (copy) => (from, to, options, copier) =>
      copy(from, to, { ...options, force: true }, copier),
  },
  {
    name: "a watch loses an event",
    foundAs: /the events/,
    shownBy: "watches",
    wrap: (events) => events.filter((_, at) => at !== 2 || events.length < 6),
  },
  {
    name: "the two events of a rename change places",
    foundAs: /the events/,
    shownBy: "watches",
    wrap: (events) => {
      const at = events.findIndex(({ action }) => action === "movedFrom");
      const [from, to] = [events[at], events[at + 1]];
      if (from === undefined || to?.action !== "movedTo") return events;
      return [...events.slice(0, at), to, from, ...events.slice(at + 2)];
    },
  },
];

// Which system the engine under test meets. On Linux it may be another one: the tests' own kqueue
// answers as the system that IO_KQUEUE_SYSTEM names (test/kqueue/systems.h).

export type System = "linux" | "macos" | "freebsd" | "netbsd" | "openbsd";

/** Those with a kqueue. */
export const KQUEUE_SYSTEMS: readonly System[] = ["macos", "freebsd", "netbsd", "openbsd"];

export function systemHere(): System {
  const named = KQUEUE_SYSTEMS.find((system) => system === process.env["IO_KQUEUE_SYSTEM"]);
  if (named !== undefined) return named;
  if (process.platform === "darwin") return "macos";
  return KQUEUE_SYSTEMS.find((system) => system === process.platform) ?? "linux";
}

/** Whether space can be reserved without growing the file. */
export function keepsSizeHere(): boolean {
  return systemHere() === "linux" || systemHere() === "macos";
}

/** Whether it is one of the others, whose sockets come from BSD. */
export function isBsdHere(): boolean {
  return systemHere() !== "linux";
}

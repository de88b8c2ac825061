// Finds the compiled engine and loads it, once per process and thread.
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { IOError, nameErrnosBy } from "../errors.js";
import { isCutShort } from "./elf.js";
import { type EngineFile, findEngine, isPublished, type Search } from "./engine_file.js";
import type { Native } from "./native.js";
import { permissionModel } from "./permission.js";
import { VERSION } from "./version.js";

const BUILD = "npx @io/core build";

let loaded: Native | undefined;

function missing(path: string, message: string): IOError {
  return new IOError({ code: "ERR_IO_ENGINE_MISSING", operation: "load", message, path });
}

/**
 * Whether the process has rights that the one that started it has not: a program with the
 * set-user-ID bit or, on Linux, with file capabilities. The kernel reports both (AT_SECURE,
 * getauxval(3)).
 */
function hasRaisedRights(): boolean {
  if (process.getuid?.() !== process.geteuid?.()) return true;
  if (process.getgid?.() !== process.getegid?.()) return true;
  if (process.platform !== "linux") return false;
  const secureTag = 23;
  const is32Bit = process.arch === "ia32" || process.arch === "arm";
  let vector: ArrayBuffer;
  try {
    vector = new Uint8Array(readFileSync("/proc/self/auxv")).buffer;
  } catch {
    // A process with file capabilities may not read it, since its /proc belongs to root then.
    return true;
  }
  const words = Array.from(is32Bit ? new Uint32Array(vector) : new BigUint64Array(vector), Number);
  const at = words.findIndex((word, index) => index % 2 === 0 && word === secureTag);
  return words[at + 1] !== 0;
}

/**
 * Where the engine is. `IO_ENGINE` names another build of it, by its path; that is how the tests
 * take one with a kqueue on Linux. A process with raised rights does not look at it: who starts
 * such a program chooses its environment, and must not choose what code it runs. (Node does not
 * look at NODE_OPTIONS there.)
 */
function engineFile(): EngineFile {
  const named = process.env["IO_ENGINE"];
  if (named !== undefined && named !== "" && !hasRaisedRights()) {
    const path = resolve(named);
    if (existsSync(path)) return { path, of: "IO_ENGINE" };
    throw missing(
      path,
      `IO_ENGINE names the engine ${path}, which is not there. ` +
        "Correct the path, or unset IO_ENGINE to take the engine of this package.",
    );
  }
  const found = findEngine();
  if ("path" in found) return found;
  throw notFound(found);
}

/** The engine. Throws an `IOError` that says what to do when it is not there or does not load. */
export function loadNative(): Native {
  if (loaded !== undefined) return loaded;
  const file = engineFile();
  let native: Partial<Native>;
  try {
    if (isCutShort(file.path)) throw new Error("the file is cut short");
    native = createRequire(file.path)(file.path) as Partial<Native>;
  } catch (cause) {
    const { platform, arch, version } = process;
    const reason = (cause instanceof Error ? cause.message : String(cause)).replace(/\.+$/, "");
    throw broken(
      file,
      `the engine ${file.path} does not load into Node ${version} on ${platform}-${arch}: ` +
        `${reason}. ${switchAdvice(cause) ?? adviceFor(file)}`,
      cause,
    );
  }
  checkEngine(native, file);
  nameErrnosBy(native.errorName);
  loaded = native;
  return loaded;
}

function broken(file: EngineFile, message: string, cause?: unknown): IOError {
  const code = "ERR_IO_ENGINE_BROKEN";
  return new IOError({ code, operation: "load", message, path: file.path, cause });
}

/** That it is an engine of this library, and of the same version as the TypeScript. */
function checkEngine(native: Partial<Native>, file: EngineFile): asserts native is Native {
  if (typeof native.Session !== "function") {
    throw broken(file, `${file.path} is an addon, but no engine of @io/core. ${adviceFor(file)}`);
  }
  if (native.version === VERSION) return;
  const version = native.version ?? "an unknown version";
  throw new IOError({
    code: "ERR_IO_ENGINE_VERSION",
    operation: "load",
    message:
      `@io/core is ${VERSION}, and the engine ${file.path} is ${version}: the two must be equal. ` +
      adviceFor(file),
    path: file.path,
  });
}

/** The switch of Node that keeps an addon from being loaded, if it was one. */
function switchAdvice(cause: unknown): string | undefined {
  if ((cause as NodeJS.ErrnoException).code !== "ERR_DLOPEN_DISABLED") return undefined;
  // Node has one error for both of its switches.
  if (permissionModel() === null) {
    return "It is an addon, and Node was started with --no-addons: start it without that.";
  }
  return (
    "It is an addon, and Node's permission model (--permission) forbids addons: start " +
    "Node with --allow-addons, too."
  );
}

/** How to come by an engine that does. It may be the file of another program: it stays. */
function adviceFor({ of, packageName }: EngineFile): string {
  if (of === "IO_ENGINE") return "IO_ENGINE names it: correct that, or unset it.";
  if (of === "build") return `It was built on this machine. Build it again: ${BUILD}`;
  return (
    `It belongs to the package ${packageName}. Install @io/core again (npm ci), or build an ` +
    `engine here: ${BUILD}`
  );
}

function notFound({ packageFolder, libraryFile, packageNames, installedNames }: Search): IOError {
  const { platform, arch } = process;
  const [packageName = ""] = packageNames;
  const path = packageFolder ?? libraryFile;
  const libc = /-(gnu|musl)$/.exec(packageName)?.[1];
  const libcName = libc === undefined ? "" : libc === "gnu" ? " with glibc" : " with musl";
  const machine = `${platform}-${arch}${packageNames.length === 1 ? libcName : ""}`;
  const names = packageNames.join(" or ");
  const say = (message: string): IOError => missing(path, message);
  const hidden = hiddenPath(packageFolder, packageName);
  if (hidden !== undefined) {
    return say(
      `Node's permission model (--permission) does not let it read the engine in ${hidden}: ` +
        `start Node with --allow-addons and with --allow-fs-read=${hidden}`,
    );
  }
  if (!packageNames.some(isPublished)) {
    return say(
      `there is no engine for ${machine}: a package ${names} is not published. ` +
        `Build it from the sources in @io/core: ${BUILD}`,
    );
  }
  const lacking = `the package ${names} is not installed, which has the engine for ${machine}`;
  if (packageFolder === undefined) {
    return say(
      `${lacking}. The bundle or program ${libraryFile} looks for it in the folders node_modules ` +
        "beside and above itself: install @io/core there, or copy the package to one of them",
    );
  }
  if (installedNames.length > 0) {
    return say(
      `${lacking}. ${installedNames.join(" and ")} is: these node_modules were installed on or ` +
        `for another system. Install them on this one (npm ci), or build the engine: ${BUILD}`,
    );
  }
  return say(
    `${lacking}. It is an optional dependency of @io/core, and those were left out (npm's ` +
      "--omit=optional and --no-optional do that, and a lockfile of another system may). " +
      `Install with them (npm install --include=optional), or build the engine: ${BUILD}`,
  );
}

/** The folder of the engine's package, if Node may not read what is in it. */
function hiddenPath(packageFolder: string | undefined, packageName: string): string | undefined {
  const permission = permissionModel();
  if (permission === null || packageFolder === undefined) return undefined;
  const folders = [
    join(packageFolder, "engine"),
    join(packageFolder, "..", packageName.replace("@io/", "")),
  ];
  return folders.find((folder) => !permission.has("fs.read", join(folder, "io.node")));
}

/**
 * Whether a thread has to wait in the place of the event loop, and batches are handed over by
 * immediates: Bun's libuv has no poll handle, and calls prepare handles before it runs microtasks;
 * Deno's has no prepare handle. `IO_WAKE_UP=thread` asks for it anywhere.
 */
export function waitsElsewhere(): boolean {
  const { versions } = process;
  return "bun" in versions || "deno" in versions || process.env["IO_WAKE_UP"] === "thread";
}

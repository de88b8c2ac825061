// Emulators for programs of other machines: arm64 under qemu with the libraries of its system, musl
// with musl's loader. All of it is from Debian's packages, unpacked into build/runtimes and never
// installed.

import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename } from "node:path";
import { machineSources, ofRelease, privateApt } from "../support/apt.mjs";
import { run, runOrFail, StepError, step } from "../support/step.mjs";
import { runtimesFolder } from "./fetch.mjs";

/** Unpacks the packages into a folder, unless that has been done. */
async function unpackDebian(name, packages) {
  const folder = `${runtimesFolder}/${name}`;
  if (existsSync(folder)) return folder;
  if (ofRelease("ID") !== "debian") throw new StepError(`${packages[0]} is taken from Debian`);
  const aptFolder = `${runtimesFolder}/apt`;
  const apt = privateApt(aptFolder);
  for (const source of machineSources()) {
    writeFileSync(`${aptFolder}/sources/${source.name}`, source.text);
  }
  await step(`fetch ${packages.join(" ")}`, async () => {
    await apt("apt-get", "update");
    const unfinished = `${folder}.unfinished`;
    rmSync(unfinished, { recursive: true, force: true });
    mkdirSync(unfinished, { recursive: true });
    const { ok, output } = await apt("apt-get", "download", ...packages);
    if (!ok) throw new StepError(`Debian's ${packages.join(", ")}: ${output.trim()}`);
    for (const file of readdirSync(aptFolder).filter((entry) => entry.endsWith(".deb"))) {
      await runOrFail("dpkg", ["-x", `${aptFolder}/${file}`, unfinished]);
      rmSync(`${aptFolder}/${file}`);
    }
    renameSync(unfinished, folder);
  });
  return folder;
}

/** The words before an arm64 program. */
async function arm64Words() {
  const libraries = ["libc6", "libgcc-s1", "libstdc++6"].map((name) => `${name}-arm64-cross`);
  const folder = await unpackDebian("arm64", ["qemu-user-static", ...libraries]);
  return [`${folder}/usr/bin/qemu-aarch64-static`, "-L", `${folder}/usr/aarch64-linux-gnu`];
}

// Symbols of glibc that the compiler's C++ library uses and musl does not have. They are for speed
// or for exceptions in code that a library has loaded, and the library has a slower way without
// them.
const absentInMusl = `
#include <stdint.h>
long syscall(long, ...);
char __libc_single_threaded = 0;
uint32_t arc4random(void) {
  uint32_t value = 0;
  syscall(318, &value, sizeof value, 0);
  return value;
}
int _dl_find_object(void* address, void* found) { (void)address; (void)found; return -1; }
`;

/** The names that a program asks of a C++ library. */
async function askedNames(program) {
  const symbols = await runOrFail("readelf", ["-W", "--dyn-syms", program]);
  const names = symbols.split("\n").flatMap((line) => {
    const [, , , , , , , name] = line.trim().split(/\s+/);
    return name === undefined ? [] : [name.replace(/@.*/, "")];
  });
  const classes = ["__class", "__si_class", "__vmi_class"].map((kind) => `${kind}_type_info`);
  const tables = classes.map((name) => `_ZTVN10__cxxabiv1${name.length}${name}E`);
  const ofLibrary = (name) => /^(_ZNK?St|_ZSt|__cxa_|__gxx|__once|__dynamic)/.test(name);
  const ofLibc = (name) => /__cxa_(finalize|thread_atexit)/.test(name);
  return [...tables, ...new Set(names.filter((name) => ofLibrary(name) && !ofLibc(name)))];
}

/**
 * Debian has musl but no C++ library for it. The parts that the program asks for are linked out of
 * the archive of this machine's compiler.
 */
async function linkLibrary(program, folder) {
  const archive = async (name) => (await runOrFail("g++", [`-print-file-name=${name}`])).trim();
  writeFileSync(`${folder}/absent.c`, absentInMusl);
  const wanted = (await askedNames(program)).map((name) => `-Wl,-u,${name}`);
  const names = ["libstdc++.a", "libgcc_eh.a", "libgcc.a"];
  const archives = await Promise.all(names.map((name) => archive(name)));
  const group = ["-Wl,--start-group", ...archives, "-Wl,--end-group"];
  const [first, last] = [await archive("crtbeginS.o"), await archive("crtendS.o")];
  const sources = ["-x", "c", `${folder}/absent.c`, "-x", "none"];
  const words = ["-shared", "-fPIC", "-nostdlib", "-o", `${folder}/libstdc++.so.6`, ...wanted];
  const linked = await run("g++", [...words, ...sources, first, ...group, last]);
  if (!linked.ok) throw new StepError(`no C++ library for musl: ${linked.output.trim()}`);
}

/** The words before a program for musl. */
async function muslWords(program) {
  const folder = await unpackDebian("musl", ["musl"]);
  const libc = `${folder}/lib/x86_64-linux-musl/libc.so`;
  const libraries = `${runtimesFolder}/musl-libraries`;
  if (!existsSync(libraries)) {
    const unfinished = `${libraries}.unfinished`;
    rmSync(unfinished, { recursive: true, force: true });
    mkdirSync(unfinished, { recursive: true });
    await linkLibrary(program, unfinished);
    symlinkSync(libc, `${unfinished}/libc.musl-x86_64.so.1`);
    renameSync(unfinished, libraries);
  }
  return [libc, "--library-path", libraries];
}

/** The words that start the program here. Throws a StepError that says why it cannot be started. */
export async function wordsFor(runtime, program) {
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new StepError(`${basename(program)} is for Linux on x86-64, and this is another system`);
  }
  if (runtime.machine === "arm64") return [...(await arm64Words()), program];
  if (runtime.machine === "musl") return [...(await muslWords(program)), program];
  return [program];
}

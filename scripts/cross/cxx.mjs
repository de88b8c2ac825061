// The parts of LLVM's C++ library that the engine uses, built from the sources that zig carries.
// zig would build all of it for each target, which takes three times as long as the engine itself,
// and would bring exceptions, their unwinder and a demangler, which the engine has no use for.
// A part that is missing here is an open name, which the check of the engine reports.

import { existsSync, mkdirSync, renameSync } from "node:fs";
import { basename } from "node:path";
import { root } from "../support/paths.mjs";
import { runOrFail } from "../support/step.mjs";
import { crossFolder, zigEnvironment, zigFolder } from "./zig.mjs";

const parts = [
  ...["algorithm", "condition_variable", "condition_variable_destructor", "hash", "memory"],
  ...["mutex", "mutex_destructor", "stdexcept", "string", "system_error", "thread"],
  ...["verbose_abort"],
].map((name) => `${zigFolder}/lib/libcxx/src/${name}.cpp`);
const abiParts = [
  "abort_message",
  "cxa_guard",
  "cxa_virtual",
  "stdlib_exception",
  "stdlib_stdexcept",
].map((name) => `${zigFolder}/lib/libcxxabi/src/${name}.cpp`);
const runtime = `${root}/scripts/cross/runtime.cc`;

const flags = [
  ...["-std=c++20", "-O2", "-g0", "-fPIC", "-w", "-fno-exceptions", "-fno-rtti"],
  ...[
    "-fvisibility=hidden",
    "-fvisibility-inlines-hidden",
    "-fvisibility-global-new-delete-hidden",
  ],
  ...["-ffunction-sections", "-fdata-sections"],
  ...["-D_LIBCPP_BUILDING_LIBRARY", "-D_LIBCXXABI_BUILDING_LIBRARY"],
  ...["-DLIBCXX_BUILDING_LIBCXXABI", "-D_LIBCPP_HAS_NO_VENDOR_AVAILABILITY_ANNOTATIONS"],
  // Nothing of it may be seen from outside, whatever the headers say of a function.
  ...["-D_LIBCPP_DISABLE_VISIBILITY_ANNOTATIONS", "-D_LIBCXXABI_DISABLE_VISIBILITY_ANNOTATIONS"],
  ...["libcxx/src", "libcxxabi/include", "libcxxabi/src"].map(
    (path) => `-I${zigFolder}/lib/${path}`,
  ),
];

/** Returns the path of the archive, which is built once for each target. */
export async function buildCxxLibrary(target, tools) {
  const folder = `${crossFolder}/${target.name}/cxx`;
  const archive = `${folder}/libcxx.a`;
  if (existsSync(archive)) return archive;
  mkdirSync(folder, { recursive: true });
  const objects = [];
  for (const file of [...parts, ...abiParts, runtime]) {
    const object = `${folder}/${basename(file).replace(/\.\w+$/, ".o")}`;
    objects.push(object);
    const words = [...flags, "-c", file, "-o", object];
    await runOrFail(`${tools}/c++`, words, { env: zigEnvironment });
  }
  // An archive that is half written must not look finished to the next run.
  await runOrFail(`${tools}/ar`, ["rcs", `${archive}.new`, ...objects], { env: zigEnvironment });
  renameSync(`${archive}.new`, archive);
  return archive;
}

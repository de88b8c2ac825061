// Builds the engine without Node under the sanitizers (test/native/CMakeLists.txt) and runs its
// tests. IO_SEED repeats a run; the seed is printed with a failure.

import { existsSync } from "node:fs";
import { suite } from "uvu";
import { registerNativeTests } from "../support/native_program.js";
import { KQUEUE_SYSTEMS } from "../support/system.js";

const test = suite("native");
const liburing = ["/usr/include/liburing.h", "/usr/local/include/liburing.h"];

registerNativeTests(test, "the native tests", {
  sources: "test/native",
  build: "build/native-tests",
  programs:
    process.platform === "linux" ? ["native_tests", "native_tests_old_kqueue"] : ["native_tests"],
  needs: () =>
    liburing.some((path) => existsSync(path))
      ? undefined
      : "liburing is not installed, and the tests of io_uring are among them",
  // A test without a backend need not be run several times.
  backends: (name) =>
    /^(?:engine|close|cancel|buffers|truncate)_/.test(name) ? ["io_uring", "epoll", "kqueue"] : [],
  systems: (name) =>
    process.platform === "linux" && name.startsWith("poller_kqueue_") ? KQUEUE_SYSTEMS : [],
});

test.run();

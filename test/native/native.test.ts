// Builds the engine without Node under the sanitizers (test/native/CMakeLists.txt) and runs its
// tests. IO_SEED repeats a run; the seed is printed with a failure.

import { suite } from "uvu";
import { registerNativeTests } from "../support/native_program.js";

const test = suite("native");

registerNativeTests(test, "the native tests", {
  sources: "test/native",
  build: "build/native-tests",
  programs:
    process.platform === "linux" ? ["native_tests", "native_tests_old_kqueue"] : ["native_tests"],
  // What asks for no backend need not be run several times.
  backends: (name) =>
    /^(?:engine|close|cancel|buffers|truncate)_/.test(name) ? ["io_uring", "epoll", "kqueue"] : [],
});

test.run();

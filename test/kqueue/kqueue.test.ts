// Builds the test-only kqueue under the sanitizers (test/kqueue/CMakeLists.txt) and holds it to the
// sentences of the manual pages. Its purpose: test/kqueue/layer.h.

import { suite } from "uvu";
import { registerNativeTests } from "../support/native_program.js";

const test = suite("kqueue layer");

registerNativeTests(test, "the tests of the kqueue layer", {
  sources: "test/kqueue",
  build: "build/kqueue-tests",
  programs: ["kqueue_tests"],
});

test.run();

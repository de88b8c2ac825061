// Imported before a topic: runs it on kqueue alone. On Linux that is the engine of the tests, whose
// kqueue is the layer in test/kqueue; elsewhere it is the system's own.

import { takeKqueueEngine } from "../support/kqueue_engine.js";
import { runOn } from "./harness.js";

takeKqueueEngine();
runOn(["kqueue"]);

// Imported before tests that leave the backend to `IO.open()`: they, and the processes that they
// start, run on kqueue.

import { takeKqueueEngine } from "./kqueue_engine.js";

takeKqueueEngine();
process.env["IO_BACKEND"] = "kqueue";

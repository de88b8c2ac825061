// The conformance of closing an IO, of several IOs side by side, and of the choice of a backend.

import { closing } from "./closing.js";
import { closingForeign } from "./closing_foreign.js";
import { conform } from "./harness.js";
import { threads } from "./threads.js";

conform("closing", closing, closingForeign, threads);

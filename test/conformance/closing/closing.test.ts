// The conformance of closing an IO, of several IOs side by side, and of the choice of a backend.

import { conform } from "../support/harness.js";
import { closing } from "./closing.js";
import { closingForeign } from "./foreign.js";
import { threads } from "./threads.js";

conform("closing", closing, closingForeign, threads);

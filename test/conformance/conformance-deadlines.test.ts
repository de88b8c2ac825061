// The conformance of time limits and abort signals.

import { deadlines } from "./deadlines.js";
import { conform } from "./harness.js";

conform("deadlines", deadlines);

// The conformance of time limits and abort signals.

import { conform } from "../support/harness.js";
import { deadlines } from "./deadlines.js";

conform("deadlines", deadlines);

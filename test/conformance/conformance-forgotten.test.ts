// The conformance of what was never closed.

import { forgottenThings } from "./forgotten.js";
import { conform } from "./harness.js";

conform("forgotten things", forgottenThings);

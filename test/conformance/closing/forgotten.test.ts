// The conformance of objects that were never closed.

import { conform } from "../support/harness.js";
import { forgottenThings } from "./forgotten.js";

conform("forgotten things", forgottenThings);

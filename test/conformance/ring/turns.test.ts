// The conformance of what loops leave to the rest of the program.

import { conform } from "../support/harness.js";
import { turns } from "./turns.js";

conform("turns", turns);

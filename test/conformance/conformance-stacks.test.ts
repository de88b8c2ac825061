// The conformance of the stacks of errors.

import { conform } from "./harness.js";
import { stacks } from "./stacks.js";

conform("stacks", stacks);

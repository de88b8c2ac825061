// The conformance of the stacks of errors.

import { conform } from "../support/harness.js";
import { stacks } from "./stacks.js";

conform("stacks", stacks);

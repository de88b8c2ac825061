// The conformance of looking up names.

import { conform } from "../support/harness.js";
import { names } from "./names.js";

conform("names", names);

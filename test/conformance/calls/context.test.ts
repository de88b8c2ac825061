// The conformance of the AsyncLocalStorage of callers.

import { conform } from "../support/harness.js";
import { contexts } from "./context.js";

conform("context", contexts);

// The conformance of what is changed behind a call.

import { behindCalls } from "./behind.js";
import { conform } from "./harness.js";

conform("behind calls", behindCalls);

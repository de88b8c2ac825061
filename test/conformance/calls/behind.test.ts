// The conformance of changes behind a call.

import { conform } from "../support/harness.js";
import { behindCalls } from "./behind.js";

conform("behind calls", behindCalls);

// The conformance of what is changed behind a call.

import { conform } from "../support/harness.js";
import { behindCalls } from "./behind.js";

conform("behind calls", behindCalls);

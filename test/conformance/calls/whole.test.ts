// The conformance of calls that are made of many operations.

import { conform } from "../support/harness.js";
import { wholeCalls } from "./whole.js";

conform("whole calls", wholeCalls);

// The conformance of what can be ended early.

import { conform } from "../support/harness.js";
import { endings } from "./endings.js";

conform("endings", endings);

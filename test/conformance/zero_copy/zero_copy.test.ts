// The conformance of sends that spare the copy: data, counters, and the two steps in which they
// end.

import { conform } from "../support/harness.js";
import { zeroCopyData } from "./data.js";
import { zeroCopyReuse } from "./reuse.js";
import { zeroCopySteps } from "./steps.js";
import { zeroCopyWrong } from "./wrong.js";

conform("zero copy", zeroCopyData, zeroCopySteps, zeroCopyReuse, zeroCopyWrong);

// The conformance of sends that spare the copy: data, counters, and the two steps in which they
// end.

import { conform } from "./harness.js";
import { zeroCopyData } from "./zero_copy_data.js";
import { zeroCopyReuse } from "./zero_copy_reuse.js";
import { zeroCopySteps } from "./zero_copy_steps.js";
import { zeroCopyWrong } from "./zero_copy_wrong.js";

conform("zero copy", zeroCopyData, zeroCopySteps, zeroCopyReuse, zeroCopyWrong);

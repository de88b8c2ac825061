// The conformance of the ring: completions, limits, time, cancelling, and who drives it.

import { conform } from "../support/harness.js";
import { ringCompletions } from "./completions.js";
import { ringDriving } from "./driving.js";
import { ringQuiet } from "./quiet.js";
import { ringTime } from "./time.js";

conform("ring", ringCompletions, ringTime, ringDriving, ringQuiet);

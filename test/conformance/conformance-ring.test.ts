// The conformance of the ring: completions, limits, time, cancelling, and who drives it.

import { conform } from "./harness.js";
import { ringCompletions } from "./ring_completions.js";
import { ringDriving } from "./ring_driving.js";
import { ringQuiet } from "./ring_quiet.js";
import { ringTime } from "./ring_time.js";

conform("ring", ringCompletions, ringTime, ringDriving, ringQuiet);

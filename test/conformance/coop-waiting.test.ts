// The conformance of sends that find their socket full, on io_uring with COOP_TASKRUN.

import "./over_coop.js";
import "./conformance-waiting.test.js";

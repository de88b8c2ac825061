// The conformance of sends that find their socket full.

import { conform } from "../support/harness.js";
import { waitingSends } from "./waiting.js";

conform("waiting sends", waitingSends);

// The conformance of receiving into lent memory.

import { conform } from "./harness.js";
import { lentRing } from "./lent_ring.js";

conform("lent", lentRing);

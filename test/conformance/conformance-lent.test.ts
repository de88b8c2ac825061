// The conformance of receiving into lent memory.

import { conform } from "./harness.js";
import { lentCrowd } from "./lent_crowd.js";
import { lentDatagrams } from "./lent_datagrams.js";
import { lentKept } from "./lent_kept.js";
import { lentResets } from "./lent_resets.js";
import { lentRing } from "./lent_ring.js";
import { lentStreams } from "./lent_streams.js";

conform("lent", lentRing, lentCrowd, lentResets, lentStreams, lentKept, lentDatagrams);

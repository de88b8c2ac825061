// The conformance of receiving into lent memory.

import { conform } from "../support/harness.js";
import { lentCrowd } from "./crowd.js";
import { lentDatagrams } from "./datagrams.js";
import { lentKept } from "./kept.js";
import { lentResets } from "./resets.js";
import { lentRing } from "./ring.js";
import { lentStreams } from "./streams.js";

conform("lent", lentRing, lentCrowd, lentResets, lentStreams, lentKept, lentDatagrams);

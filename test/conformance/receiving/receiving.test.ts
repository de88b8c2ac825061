// The conformance of receiving into borrowed buffers, and of loops over sockets.

import { conform } from "../support/harness.js";
import { lentCrowd } from "./crowd.js";
import { lentDatagrams } from "./datagrams.js";
import { lentKept } from "./kept.js";
import { ownedBytes } from "./owned.js";
import { lentResets } from "./resets.js";
import { lentRing } from "./ring.js";
import { lentStreams } from "./streams.js";

conform("lent", lentRing, lentCrowd, lentResets, lentStreams, lentKept, lentDatagrams, ownedBytes);

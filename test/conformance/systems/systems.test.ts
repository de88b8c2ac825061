// The conformance of what systems do each in its own way.

import { conform } from "../support/harness.js";
import { systemsPipes } from "./pipes.js";
import { systemsSockets } from "./sockets.js";

conform("systems", systemsPipes, systemsSockets);

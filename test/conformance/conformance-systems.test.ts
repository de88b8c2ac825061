// The conformance of what systems do each in its own way.

import { conform } from "./harness.js";
import { systemsPipes } from "./systems_pipes.js";
import { systemsSockets } from "./systems_sockets.js";

conform("systems", systemsPipes, systemsSockets);

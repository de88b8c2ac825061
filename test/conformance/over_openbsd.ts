// Imported before topics: runs them as on OpenBSD.

import { overSystem } from "./over_system.js";

overSystem("openbsd");

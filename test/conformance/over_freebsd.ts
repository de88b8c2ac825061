// Imported before topics: runs them as on FreeBSD.

import { overSystem } from "./over_system.js";

overSystem("freebsd");

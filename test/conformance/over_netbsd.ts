// Imported before topics: runs them as on NetBSD.

import { overSystem } from "./over_system.js";

overSystem("netbsd");

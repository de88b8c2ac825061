// Imported before topics: runs them as on macOS.

import { overSystem } from "./over_system.js";

overSystem("macos");

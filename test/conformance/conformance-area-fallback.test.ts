// The conformance of receiving where no network device writes into the program's memory.

import { areaFallback } from "./area_fallback.js";
import { conform } from "./harness.js";

conform("area, which there is none of", areaFallback);

// The conformance of receiving where no network device writes into the program's memory.

import { conform } from "../support/harness.js";
import { areaFallback } from "./area_fallback.js";

conform("area, which there is none of", areaFallback);

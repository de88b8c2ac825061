// The conformance of linked operations, in both layers.

import { conform } from "../support/harness.js";
import { links } from "./links.js";

conform("links", links);

// The conformance of files: opening, data, and what is done to a file as a whole.

import { filesData } from "./files_data.js";
import { filesOpen } from "./files_open.js";
import { filesWhole } from "./files_whole.js";
import { conform } from "./harness.js";

conform("files", filesOpen, filesData, filesWhole);

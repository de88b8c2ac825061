// The conformance of what callers give: wrong arguments, and what the messages say.

import { conform } from "../support/harness.js";
import { registerArguments } from "./arguments.js";
import { registerWords } from "./arguments_words.js";

conform("arguments", registerArguments, registerWords);

// The conformance of what callers give: wrong arguments, and what the messages say.

import { registerArguments } from "./arguments.js";
import { registerWords } from "./arguments_words.js";
import { conform } from "./harness.js";

conform("arguments", registerArguments, registerWords);

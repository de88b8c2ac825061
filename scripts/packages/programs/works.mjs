// Opens an IO, and sends bytes to itself and to a file.
import { IO, IOError } from "@io/core";
import { works } from "./works_body.cjs";

works(IO, IOError);

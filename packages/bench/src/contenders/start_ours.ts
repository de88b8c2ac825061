// A program that opens an IO, closes it and ends, for the cost of both.

import { IO } from "@io/core";

const io = await IO.open();
await io.close();

// What a program pays that opens an IO, closes it and ends.

import { IO } from "@io/core";

const io = await IO.open();
await io.close();

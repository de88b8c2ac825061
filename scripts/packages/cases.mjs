// Every case: its name, what runs it, and whether it is too slow for each run of the CI.

import { building } from "./cases/building.mjs";
import { bundling } from "./cases/bundling.mjs";
import { damage } from "./cases/damage.mjs";
import { installing } from "./cases/installing.mjs";
import { loading } from "./cases/loading.mjs";
import { machines } from "./cases/machines.mjs";
import { runners } from "./cases/runners.mjs";
import { types } from "./cases/types.mjs";

export const cases = [
  ...installing,
  ...types,
  ...loading,
  ...damage,
  ...bundling,
  ...runners,
  ...machines,
  ...building,
];

// The folders where npm run test:kernels keeps its downloads and results.

import { root } from "../support/paths.mjs";

export const kernelsFolder = `${root}/build/kernels`;

/** A folder for each kernel that was fetched, with its name. */
export const releasesFolder = `${kernelsFolder}/releases`;

/** A file for each kernel that was asked for, with the name of the one that was taken. */
export const requestsFolder = `${kernelsFolder}/requests`;

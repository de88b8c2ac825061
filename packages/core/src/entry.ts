// The exports of the bundle for the files of the package that users import and start.
export { doctor } from "./command/doctor.js";
export * as library from "./index.js";

// What the bundle gives to the files of the package that users import and start.
export { doctor } from "./command/doctor.js";
export * as library from "./index.js";

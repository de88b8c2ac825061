// The same, required.
const { IO, IOError } = require("@io/core");
const { works } = require("./works_body.cjs");

works(IO, IOError);

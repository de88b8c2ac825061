// A program that imports node:http and ends, for the cost of the import.

import "node:http";

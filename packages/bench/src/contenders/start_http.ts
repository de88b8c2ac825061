// What a program pays that imports node:http and ends.

import "node:http";

// The symbols that a Mach-O library needs. It reads the tables that dyld itself uses (binds; a lazy
// one makes no difference here), not the symbol table beside them. Layouts and numbers:
// <mach-o/loader.h> and <mach-o/nlist.h>.

const MAGIC_64 = 0xfeedfacf;
const PROCESSORS = new Map([
  [0x01000007, "x86_64"],
  [0x0100000c, "arm64"],
]);
const LOAD_DYLIB = 0xc;
const LOAD_WEAK_DYLIB = 0x80000018;
const REEXPORT_DYLIB = 0x8000001f;
const DYLD_INFO = 0x22;
const DYLD_INFO_ONLY = 0x80000022;
const BUILD_VERSION = 0x32;
const SYMTAB = 0x2;
const CHAINED_FIXUPS = 0x80000034;

// Opcodes of the bind tables: the upper four bits; the lower four are a small operand.
const OPCODE = {
  done: 0x0,
  setOrdinal: 0x1,
  setOrdinalLong: 0x2,
  setSpecialOrdinal: 0x3,
  setSymbol: 0x4,
  setType: 0x5,
  setAddend: 0x6,
  setSegment: 0x7,
  addAddress: 0x8,
  bind: 0x9,
  bindAddLong: 0xa,
  bindAddScaled: 0xb,
  bindManyAddLong: 0xc,
};
const SPECIAL = ["this image", "main executable", "flat namespace", "weak lookup"];

function textAt(bytes, start) {
  return bytes.toString("latin1", start, bytes.indexOf(0, start));
}

function versionText(number) {
  return `${number >>> 16}.${(number >>> 8) & 0xff}`;
}

/** Reads numbers of seven bits a byte, and what the opcodes have between them. */
class Cursor {
  constructor(bytes, start, end) {
    Object.assign(this, { bytes, at: start, end });
  }
  byte() {
    return this.bytes[this.at++];
  }
  uleb() {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  }
  text() {
    const text = textAt(this.bytes, this.at);
    this.at += text.length + 1;
    return text;
  }
}

/** Adds every bind of one table to `imports`; the libraries are counted from 1. */
function readBinds(cursor, libraries, lazy, imports) {
  let from = libraries[0];
  let symbol = "";
  while (cursor.at < cursor.end) {
    const byte = cursor.byte();
    const [opcode, small] = [byte >> 4, byte & 0xf];
    switch (opcode) {
      case OPCODE.done:
        if (!lazy) return; // each bind of the lazy table ends with one
        break;
      case OPCODE.setOrdinal:
        from = small === 0 ? SPECIAL[0] : libraries[small - 1];
        break;
      case OPCODE.setOrdinalLong:
        from = libraries[cursor.uleb() - 1];
        break;
      case OPCODE.setSpecialOrdinal:
        from = SPECIAL[small === 0 ? 0 : 16 - small]; // a negative number of four bits
        break;
      case OPCODE.setSymbol:
        symbol = cursor.text();
        break;
      case OPCODE.setType:
        break;
      case OPCODE.setAddend:
      case OPCODE.setSegment:
      case OPCODE.addAddress:
        cursor.uleb();
        break;
      case OPCODE.bind:
      case OPCODE.bindAddScaled:
        imports.set(`${symbol}\0${from}`, { symbol, from });
        break;
      case OPCODE.bindAddLong:
        imports.set(`${symbol}\0${from}`, { symbol, from });
        cursor.uleb();
        break;
      case OPCODE.bindManyAddLong:
        imports.set(`${symbol}\0${from}`, { symbol, from });
        cursor.uleb();
        cursor.uleb();
        break;
      default:
        throw new Error(`bind opcode 0x${byte.toString(16)} is not known`);
    }
  }
}

function readCommands(bytes) {
  const commands = [];
  let at = 32;
  for (let left = bytes.readUInt32LE(16); left > 0; left--) {
    commands.push({ command: bytes.readUInt32LE(at), at });
    at += bytes.readUInt32LE(at + 4);
  }
  return commands;
}

/** Names that the library defines for others. */
function readExports(bytes, at) {
  const [symbols, count, strings] = [8, 12, 16].map((offset) => bytes.readUInt32LE(at + offset));
  const names = [];
  for (let index = 0; index < count; index++) {
    const entry = symbols + index * 16;
    const type = bytes[entry + 4];
    const external = (type & 0x01) !== 0 && (type & 0x10) === 0;
    const defined = (type & 0x0e) !== 0;
    if (external && defined && (type & 0xe0) === 0) {
      names.push(textAt(bytes, strings + bytes.readUInt32LE(entry)));
    }
  }
  return names;
}

/** { processor, libraries, imports: [{ symbol, from }], exports, oldestSystem } */
export function readMachO(bytes) {
  if (bytes.readUInt32LE(0) !== MAGIC_64) throw new Error("this is no 64-bit Mach-O file");
  const commands = readCommands(bytes);
  const libraries = commands
    .filter(({ command }) => [LOAD_DYLIB, LOAD_WEAK_DYLIB, REEXPORT_DYLIB].includes(command))
    .map(({ at }) => textAt(bytes, at + bytes.readUInt32LE(at + 8)));
  if (commands.some(({ command }) => command === CHAINED_FIXUPS)) {
    throw new Error("its imports are chained fixups, which this reader does not know");
  }
  const imports = new Map();
  for (const { command, at } of commands) {
    if (command !== DYLD_INFO && command !== DYLD_INFO_ONLY) continue;
    // rebase, bind, weak bind, lazy bind, export: an offset and a size each. Weak binds name
    // nothing that is not bound already.
    for (const [field, lazy] of [
      [16, false],
      [32, true],
    ]) {
      const start = bytes.readUInt32LE(at + field);
      const cursor = new Cursor(bytes, start, start + bytes.readUInt32LE(at + field + 4));
      readBinds(cursor, libraries, lazy, imports);
    }
  }
  const symtab = commands.find(({ command }) => command === SYMTAB);
  const version = commands.find(({ command }) => command === BUILD_VERSION);
  return {
    processor: PROCESSORS.get(bytes.readUInt32LE(4)) ?? "unknown",
    libraries,
    imports: [...imports.values()],
    exports: symtab === undefined ? [] : readExports(bytes, symtab.at),
    oldestSystem:
      version === undefined ? "unknown" : versionText(bytes.readUInt32LE(version.at + 12)),
  };
}

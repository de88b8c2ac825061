// The symbols that an ELF library needs and those that it defines. Layouts: elf(5).

const PROCESSORS = new Map([
  [62, "x86_64"],
  [183, "aarch64"],
]);
const SECTION = {
  localSymbols: 2,
  dynamic: 6,
  symbols: 11,
  versions: 0x6fffffff,
  needed: 0x6ffffffe,
};
const DT_NEEDED = 1;
const DT_TEXTREL = 22;
const DT_FLAGS = 30;
const DF_TEXTREL = 4;
const UNDEFINED = 0;
const BINDING_WEAK = 2;

function textAt(bytes, start) {
  return bytes.toString("latin1", start, bytes.indexOf(0, start));
}

function readSections(bytes) {
  const start = Number(bytes.readBigUInt64LE(0x28));
  const size = bytes.readUInt16LE(0x3a);
  return Array.from({ length: bytes.readUInt16LE(0x3c) }, (_, index) => {
    const at = start + index * size;
    return {
      type: bytes.readUInt32LE(at + 4),
      offset: Number(bytes.readBigUInt64LE(at + 24)),
      size: Number(bytes.readBigUInt64LE(at + 32)),
      link: bytes.readUInt32LE(at + 40),
    };
  });
}

/** The entries of the dynamic section: { tag, value }. */
function readDynamic(bytes, section) {
  return Array.from({ length: section.size / 16 }, (_, index) => {
    const at = section.offset + index * 16;
    return {
      tag: Number(bytes.readBigInt64LE(at)),
      value: Number(bytes.readBigUInt64LE(at + 8)),
    };
  });
}

/** The number of a version, as symbols have it, to its name: "GLIBC_2.17". */
function readVersionNames(bytes, section, strings) {
  const names = new Map();
  if (section === undefined) return names;
  let file = section.offset;
  for (;;) {
    let version = file + bytes.readUInt32LE(file + 8);
    for (let left = bytes.readUInt16LE(file + 2); left > 0; left--) {
      names.set(
        bytes.readUInt16LE(version + 6),
        textAt(bytes, strings + bytes.readUInt32LE(version + 8)),
      );
      version += bytes.readUInt32LE(version + 12);
    }
    const next = bytes.readUInt32LE(file + 12);
    if (next === 0) return names;
    file += next;
  }
}

/**
 * { processor, libraries, imports: [{ symbol, version, weak }], exports, movesText (there are
 * relocations in the text), hasLocalNames (it was not stripped) }
 */
export function readElf(bytes) {
  if (bytes.toString("latin1", 0, 4) !== "\x7fELF" || bytes[4] !== 2 || bytes[5] !== 1) {
    throw new Error("this is no 64-bit little-endian ELF file");
  }
  const sections = readSections(bytes);
  const find = (type) => sections.find((section) => section.type === type);
  const [dynamic, symbols, versions] = [SECTION.dynamic, SECTION.symbols, SECTION.versions].map(
    find,
  );
  const strings = sections[symbols.link].offset;
  const versionNames = readVersionNames(bytes, find(SECTION.needed), strings);
  const imports = [];
  const exports = [];
  for (let index = 1; index < symbols.size / 24; index++) {
    const at = symbols.offset + index * 24;
    const symbol = textAt(bytes, strings + bytes.readUInt32LE(at));
    if (bytes.readUInt16LE(at + 6) !== UNDEFINED) {
      exports.push(symbol);
      continue;
    }
    const number = versions === undefined ? 0 : bytes.readUInt16LE(versions.offset + index * 2);
    const weak = bytes[at + 4] >> 4 === BINDING_WEAK;
    imports.push({ symbol, version: versionNames.get(number & 0x7fff), weak });
  }
  const entries = readDynamic(bytes, dynamic);
  return {
    processor: PROCESSORS.get(bytes.readUInt16LE(18)) ?? "unknown",
    libraries: entries
      .filter(({ tag }) => tag === DT_NEEDED)
      .map(({ value }) => textAt(bytes, strings + value)),
    imports,
    exports,
    movesText: entries.some(
      ({ tag, value }) => tag === DT_TEXTREL || (tag === DT_FLAGS && (value & DF_TEXTREL) !== 0),
    ),
    hasLocalNames: find(SECTION.localSymbols) !== undefined,
  };
}

// Prints the TypeScript side of abi.def. The build writes it to packages/core/src/engine/abi.ts;
// CI fails when the committed file differs.
#include <cctype>
#include <cstdio>
#include <string>

#include "abi/abi.h"

namespace {

std::string upper(const char* name) {
  std::string text(name);
  for (char& letter : text) letter = static_cast<char>(std::toupper(letter));
  return text;
}

std::string camel(const char* name) {
  std::string text;
  bool raise = false;
  for (const char* at = name; *at != '\0'; at++) {
    if (*at == '_') {
      raise = true;
    } else {
      text += raise ? static_cast<char>(std::toupper(*at)) : *at;
      raise = false;
    }
  }
  return text;
}

void constant(const std::string& name, unsigned long value) {
  std::printf("export const %s = %lu;\n", name.c_str(), value);
}

void operation(unsigned long number, const char* name, const char* syscall) {
  std::printf("  [%lu, [\"%s\", \"%s\"]],\n", number, camel(name).c_str(), syscall);
}

}  // namespace

int main() {
  std::printf(
      "// Generated from native/abi/abi.def by native/abi/abi_ts.cc. Do not edit: change the "
      "list.\n\n");
#define IO_OPERATION(name, number, syscall) constant("OPCODE_" + upper(#name), number);
#include "abi/abi.def"

  std::printf("\n");
#define IO_CONSTANT(name, value) constant(upper(#name), value);
#include "abi/abi.def"

  std::printf("\n");
#define IO_ENTRY_WORD(name, word) constant("ENTRY_" + upper(#name), word);
#define IO_ENTRY_DOUBLE(name, index) constant("ENTRY_" + upper(#name), index);
#define IO_COMPLETION_WORD(name, word) constant("COMPLETION_" + upper(#name), word);
#include "abi/abi.def"
  constant("ENTRY_WORDS", sizeof(io::abi::Entry) / 4);
  constant("COMPLETION_WORDS", sizeof(io::abi::CompletionEntry) / 4);
  constant("VECTOR_DOUBLES", sizeof(io::abi::VectorEntry) / 8);

  std::printf(
      "\n/** Operation number to its name here and to the system call that errors name. */\n");
  std::printf(
      "export const OPERATION_NAMES: ReadonlyMap<number, readonly [string, string]> = new Map([\n");
#define IO_OPERATION(name, number, syscall) operation(number, #name, syscall);
#include "abi/abi.def"
  std::printf("]);\n");

  std::printf("\n/** The engine's counters, in the order of its array. */\n");
  std::printf("export const COUNTER_NAMES = [\n");
#define IO_COUNTER(name) std::printf("  \"%s\",\n", camel(#name).c_str());
#include "abi/abi.def"
  std::printf("] as const;\n");
  return 0;
}

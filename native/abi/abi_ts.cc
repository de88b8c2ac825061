// Prints the TypeScript side of abi.def. The build writes it to packages/core/src/engine/abi.ts;
// CI fails when the committed file differs.
#include <cctype>
#include <cstdio>
#include <cstring>
#include <string>

#include "abi/abi.h"

namespace {

using io::abi::is;
using io::abi::kind_of;
using io::abi::Opcode;
using io::abi::OperationKind;
namespace trait = io::abi::trait;

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

const char* kind_name(Opcode opcode) {
  // To a reader of capabilities these are kinds of their own.
  if (is(opcode, trait::multishot)) return "multishot";
  if (is(opcode, trait::from_file)) return "file";
  switch (kind_of(opcode)) {
    case OperationKind::bookkeeping:
      return "bookkeeping";
    case OperationKind::time:
      return "time";
    case OperationKind::call:
      return "call";
    case OperationKind::stream:
      return "stream";
    case OperationKind::file:
      return "file";
    case OperationKind::close:
      return "close";
  }
  return "";
}

void operation(Opcode opcode, const char* name, const char* syscall, const char* since) {
  const auto yes = [](bool value) { return value ? "true" : "false"; };
  std::printf("  [\n    %lu,\n    {\n", static_cast<unsigned long>(opcode));
  std::printf("      name: \"%s\",\n", camel(name).c_str());
  std::printf("      syscall: \"%s\",\n", syscall);
  std::printf("      since: \"%s\",\n", since);
  std::printf("      kind: \"%s\",\n", kind_name(opcode));
  std::printf("      madeByEngine: %s,\n", yes(is(opcode, trait::made_by_engine)));
  std::printf("      endsOthers: %s,\n    },\n  ],\n", yes(is(opcode, trait::ends_others)));
}

// For docs/internals/kernels.md.
void print_kernel_traits() {
  std::printf("| Name | Known by | Kernels | What is done | The kernel's side | File | Test |\n");
  std::printf("|---|---|---|---|---|---|---|\n");
#define IO_KERNEL_TRAIT(name, how, kernels, done, side, file, test)                             \
  std::printf("| `%s` | %s | %s | %s | %s | `%s` | `%s` |\n", #name, #how, kernels, done, side, \
              file, test);
#include "backend/io_uring/kernel_traits.def"
}

}  // namespace

int main(int count, char** words) {
  if (count > 1 && std::strcmp(words[1], "kernels") == 0) {
    print_kernel_traits();
    return 0;
  }
  std::printf(
      "// Generated from native/abi/abi.def by native/abi/abi_ts.cc. Do not edit: change the "
      "list.\n\n");
#define IO_OPERATION(name, number, syscall, since, kind, form, traits) \
  constant("OPCODE_" + upper(#name), number);
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
      "\n/**\n * The names of the operations.\n *\n * @category Diagnostics\n */\n"
      "export type OperationName =");
#define IO_OPERATION(name, number, syscall, since, kind, form, traits) \
  std::printf("\n  | \"%s\"", camel(#name).c_str());
#include "abi/abi.def"
  std::printf(";\n");

  std::printf(
      "\n/** A row of abi.def: its name here, the system call that errors name, the Linux whose "
      "io_uring has\n * it (\"\" where none has), and what abi.def says of it. */\n"
      "export interface OperationRow {\n"
      "  readonly name: OperationName;\n"
      "  readonly syscall: string;\n"
      "  readonly since: string;\n"
      "  readonly kind: \"bookkeeping\" | \"time\" | \"call\" | \"stream\" | \"multishot\" | "
      "\"file\" | \"close\";\n"
      "  readonly madeByEngine: boolean;\n"
      "  readonly endsOthers: boolean;\n"
      "}\n\n/** The operations by number. */\n"
      "export const OPERATIONS: ReadonlyMap<number, OperationRow> = new Map([\n");
#define IO_OPERATION(name, number, syscall, since, kind, form, traits) \
  operation(Opcode::name, #name, syscall, since);
#include "abi/abi.def"
  std::printf("]);\n");

  std::printf("\n/** The engine's counters, in the order of its array. */\n");
  std::printf("export const COUNTER_NAMES = [\n");
#define IO_COUNTER(name) std::printf("  \"%s\",\n", camel(#name).c_str());
#include "abi/abi.def"
  std::printf("] as const;\n");
  return 0;
}

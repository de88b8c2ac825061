// What getattrlistbulk(2) of macOS uses, as its manual page has it.
#pragma once

#include <cstdint>

struct attrlist {
  uint16_t bitmapcount;
  uint16_t reserved;
  uint32_t commonattr;
  uint32_t volattr;
  uint32_t dirattr;
  uint32_t fileattr;
  uint32_t forkattr;
};

struct attribute_set_t {
  uint32_t commonattr;
  uint32_t volattr;
  uint32_t dirattr;
  uint32_t fileattr;
  uint32_t forkattr;
};

struct attrreference_t {
  int32_t attr_dataoffset;
  uint32_t attr_length;
};

#define ATTR_BIT_MAP_COUNT 5
#define ATTR_CMN_NAME 0x00000001
#define ATTR_CMN_OBJTYPE 0x00000008
#define ATTR_CMN_RETURNED_ATTRS 0x80000000

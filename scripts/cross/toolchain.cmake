# Builds for another system with zig. IO_TARGET_SYSTEM, IO_TARGET_PROCESSOR, IO_TARGET_TOOLS (a
# folder with cc, c++, ar and ranlib) and IO_TARGET_PREFIX (libraries of the target, may be empty)
# are given by scripts/cross/build.mjs.
set(CMAKE_SYSTEM_NAME "${IO_TARGET_SYSTEM}")
set(CMAKE_SYSTEM_PROCESSOR "${IO_TARGET_PROCESSOR}")
set(CMAKE_C_COMPILER "${IO_TARGET_TOOLS}/cc")
set(CMAKE_CXX_COMPILER "${IO_TARGET_TOOLS}/c++")
set(CMAKE_AR "${IO_TARGET_TOOLS}/ar")
set(CMAKE_RANLIB "${IO_TARGET_TOOLS}/ranlib")

# try_compile() starts CMake again and hands it only what is named here.
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES
    IO_TARGET_SYSTEM IO_TARGET_PROCESSOR IO_TARGET_TOOLS IO_TARGET_PREFIX)

# Nothing of this machine is for the target.
set(CMAKE_FIND_ROOT_PATH "${IO_TARGET_PREFIX}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)

# To link a program, only to ask a question, would make zig build its C++ library a second time.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)

if(IO_TARGET_SYSTEM STREQUAL "Darwin")
  # There is no SDK and none of Apple's programs: zig has the headers and links by itself.
  set(CMAKE_OSX_SYSROOT "" CACHE PATH "")
  set(CMAKE_OSX_ARCHITECTURES "" CACHE STRING "")
  set(CMAKE_INSTALL_NAME_TOOL "/bin/true")
endif()

# Toolchain file for 64-bit ARM Linux on another machine (Debian, Ubuntu: apt install g++-aarch64-linux-gnu):
#
#   native/build.sh build/native-aarch64 build --toolchain $PWD/cmake/aarch64-linux-gnu.cmake
#
# With qemu-user installed, ctest runs the tests through it.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

find_program(qemu NAMES qemu-aarch64-static qemu-aarch64)
if(qemu)
  set(CMAKE_CROSSCOMPILING_EMULATOR "${qemu};-L;/usr/aarch64-linux-gnu")
endif()

# Cross-builds for 64-bit Arm on Debian and runs the tests under qemu, with what
# debian-setup.sh aarch64 provides.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)

if(DEFINED ENV{XDG_CACHE_HOME})
    set(libraries $ENV{XDG_CACHE_HOME}/libbamba-aarch64)
else()
    set(libraries $ENV{HOME}/.cache/libbamba-aarch64)
endif()

set(CMAKE_FIND_ROOT_PATH ${libraries} /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${libraries})
set(ENV{PKG_CONFIG_LIBDIR} ${libraries}/usr/lib/aarch64-linux-gnu/pkgconfig)

# What the libraries themselves need (libedit: libtinfo, which Debian keeps under /lib) is found by
# the linker and by the emulated loader in the same two folders.
set(folders ${libraries}/usr/lib/aarch64-linux-gnu ${libraries}/lib/aarch64-linux-gnu)
set(CMAKE_EXE_LINKER_FLAGS_INIT "-Wl,--disable-new-dtags")
foreach(folder IN LISTS folders)
    string(APPEND CMAKE_EXE_LINKER_FLAGS_INIT " -Wl,-rpath,${folder} -Wl,-rpath-link,${folder}")
endforeach()

# The oldest kind of core, so that nothing beyond the baseline of the architecture goes unnoticed.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -cpu cortex-a53 -L /usr/aarch64-linux-gnu)

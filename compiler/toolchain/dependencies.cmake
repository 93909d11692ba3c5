# Finds every library of the build and gives each one target name.
#
# Programs that users ship link static archives only (png, jpeg, z) and use fmt header-only, since Debian has no static
# libfmt; the compiler links shared libraries.
# Every folder that has these packages missing is set up by compiler/toolchain/setup.sh.
set(emulsion_setup_hint "fix: run compiler/toolchain/setup.sh, which installs what is missing")

# The wheel's own entry point asks for Python's headers; the one inside the wheel does not.
file(GLOB halide_wheel ${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/halide/lib64/cmake)
if(halide_wheel)
    set(Halide_DIR ${halide_wheel}/Halide CACHE PATH "Halide's package" FORCE)
    set(HalideHelpers_DIR ${halide_wheel}/HalideHelpers CACHE PATH "Halide's helpers" FORCE)
    set(CMAKE_DISABLE_FIND_PACKAGE_Python ON)
endif()
find_package(Halide 21 QUIET CONFIG)
if(NOT Halide_FOUND)
    message(FATAL_ERROR "Halide 21 is not found in ${PROJECT_SOURCE_DIR}/.venv\n  ${emulsion_setup_hint}")
endif()

# LLVM's version file compares major and minor, so "19" alone is refused.
find_package(LLVM 19.1 QUIET CONFIG)
if(NOT LLVM_FOUND)
    message(FATAL_ERROR "LLVM 19.1 is not found (package llvm-19-dev)\n  ${emulsion_setup_hint}")
endif()
find_package(LLD QUIET CONFIG HINTS ${LLVM_LIBRARY_DIR}/cmake/lld)
if(NOT LLD_FOUND)
    message(FATAL_ERROR "LLD 19 is not found (package liblld-19-dev)\n  ${emulsion_setup_hint}")
endif()
add_library(emulsion_llvm INTERFACE)
target_include_directories(emulsion_llvm SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS})
separate_arguments(emulsion_llvm_definitions UNIX_COMMAND "${LLVM_DEFINITIONS}")
target_compile_options(emulsion_llvm INTERFACE ${emulsion_llvm_definitions})
target_link_libraries(emulsion_llvm INTERFACE LLVM lldELF lldCommon)

find_package(fmt REQUIRED CONFIG)
find_package(nlohmann_json REQUIRED CONFIG)
find_package(CLI11 REQUIRED CONFIG)
find_package(Threads REQUIRED)

# emulsion_static(TARGET ARCHIVE HEADER PACKAGE): an imported target for one static archive of Debian.
function(emulsion_static target archive header package)
    find_library(${target}_archive ${archive})
    find_path(${target}_include ${header})
    if(NOT ${target}_archive OR NOT ${target}_include)
        message(FATAL_ERROR "${archive} is not found (package ${package})\n  ${emulsion_setup_hint}")
    endif()
    add_library(${target} STATIC IMPORTED GLOBAL)
    set_target_properties(${target} PROPERTIES IMPORTED_LOCATION ${${target}_archive})
endfunction()
emulsion_static(static_z libz.a zlib.h zlib1g-dev)
emulsion_static(static_png libpng16.a png.h libpng-dev)
emulsion_static(static_jpeg libjpeg.a jpeglib.h libjpeg-dev)
emulsion_static(static_xxhash libxxhash.a xxhash.h libxxhash-dev)
emulsion_static(static_protobuf libprotobuf-lite.a google/protobuf/message_lite.h libprotobuf-dev)
find_program(protoc protoc)
if(NOT protoc)
    message(FATAL_ERROR "protoc is not found (package protobuf-compiler)\n  ${emulsion_setup_hint}")
endif()
# The tuner's journal; in the compiler alone.
emulsion_static(static_sqlite libsqlite3.a sqlite3.h libsqlite3-dev)
target_link_libraries(static_sqlite INTERFACE m ${CMAKE_DL_LIBS})
target_link_libraries(static_png INTERFACE static_z m)

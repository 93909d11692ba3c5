// Links objects: several into one relocatable object with few visible symbols, and programs with
// the C++ compiler.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace emulsion {

// Links the objects (name, bytes) into one relocatable object in which only symbols that begin with
// `prefix` stay global. Throws Error[link], also where a symbol stays undefined that is neither of
// those that a library may need of libc, libm and pthread, nor, where it `has_devices`, of those
// that it loads drivers with.
std::string link_relocatable(const std::vector<std::pair<std::string, std::string>>& objects,
                             const std::string& prefix, bool has_devices = false);

// A static archive with one member.
std::string make_archive(const std::string& member, const std::string& object);

// The bytes of the program `name`, linked from an object and archives with the static libraries of
// the runtime, as static as Debian allows: nothing shared but glibc. Throws Error[link] with the
// linker's words.
std::string link_program(const std::string& name, const std::string& object,
                         const std::vector<std::string>& archives);

}  // namespace emulsion

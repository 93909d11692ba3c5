// Rules of make, in which compilers say what files their products were made from.
#pragma once

#include <string>
#include <vector>

namespace emulsion {

// The files behind the colon. Throws RuntimeError where the file cannot be read.
std::vector<std::string> read_depfile(const std::string& path);

// Writes "PRODUCTS: FILES". Throws RuntimeError where the file cannot be written.
void write_depfile(const std::string& path, const std::vector<std::string>& products,
                   const std::vector<std::string>& files);

}  // namespace emulsion

// Amounts of memory on the command line.
#pragma once

#include <cstdint>
#include <string>

namespace emulsion {

// Bytes: "512MiB", "1.5GB", "1500000000". Units are B, kB, MB, GB of 1000 each and KiB, MiB, GiB of
// 1024; fractions of a byte go. Throws Error[usage], which names the option, for anything else and
// for less than a byte.
int64_t parse_bytes(const std::string& option, const std::string& text);

}  // namespace emulsion

// See comma_locale.h. The bytes are a compiled LC_NUMERIC category of glibc: decimal point ",",
// thousands separator
// ".", groups of three, code set UTF-8.
#include "tests/support/comma_locale.h"

#include <clocale>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace emulsion {

namespace {

constexpr unsigned char kNumeric[] = {
    0x14, 0x11, 0x03, 0x20, 0x06, 0x00, 0x00, 0x00, 0x20, 0x00, 0x00, 0x00, 0x22, 0x00,
    0x00, 0x00, 0x24, 0x00, 0x00, 0x00, 0x28, 0x00, 0x00, 0x00, 0x2c, 0x00, 0x00, 0x00,
    0x30, 0x00, 0x00, 0x00, 0x2c, 0x00, 0x2e, 0x00, 0x03, 0x03, 0x00, 0x00, 0x2c, 0x00,
    0x00, 0x00, 0x2e, 0x00, 0x00, 0x00, 0x55, 0x54, 0x46, 0x2d, 0x38, 0x00};

}  // namespace

bool use_comma_locale(const std::string& folder) {
    std::error_code ignored;
    std::filesystem::create_directories(folder + "/comma", ignored);
    std::ofstream file(folder + "/comma/LC_NUMERIC", std::ios::binary);
    file.write(reinterpret_cast<const char*>(kNumeric), sizeof(kNumeric));
    file.close();
    setenv("LOCPATH", folder.c_str(), 1);
    if (std::setlocale(LC_NUMERIC, "comma") == nullptr) return false;
    return std::string(std::localeconv()->decimal_point) == ",";
}

}  // namespace emulsion

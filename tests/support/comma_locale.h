// A locale whose numbers have a decimal comma, as German has, on machines where none is installed.
#pragma once
#include <string>

namespace emulsion {

// Writes the locale into `folder` and makes it this process's LC_NUMERIC, as a host program with
// setlocale(LC_ALL, "") has it. Returns false where the C library refuses it. For child processes:
// it stays.
bool use_comma_locale(const std::string& folder);

}  // namespace emulsion

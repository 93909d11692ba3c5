// Rows of a reader of the user's own, a shared object: see runtime/abi/emulsion_reader.h.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/data/open.h"
#include "runtime/data/source.h"

namespace emulsion {

struct UserReader {
    std::string library;   // path
    std::string argument;  // behind the colon
};

// The reader that a name of data stands for: FILE.so or FILE.so:ARGUMENT, where the file is there.
std::optional<UserReader> find_user_reader(std::string_view name);

// Throws RuntimeError where the library cannot be loaded or is none of a reader, the reader fails,
// or a label is beyond the classes. Rows that hold NaN or infinity are refused when they are read.
// A part that is not there has no rows.
std::unique_ptr<Source> open_user_rows(const UserReader& reader, Part part,
                                       const DataRequest& request);

}  // namespace emulsion

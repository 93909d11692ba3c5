// The text of an error, made once when it is thrown.
#include "runtime/support/error.h"

#include <utility>

namespace emulsion {

RuntimeError::RuntimeError(std::string where, std::string what, std::string fix)
    : where_(std::move(where)), problem_(std::move(what)), fix_(std::move(fix)) {
    text_ = where_.empty() ? problem_ : where_ + ": " + problem_;
    if (!fix_.empty()) text_ += "\n  fix: " + fix_;
}

void print_error(const RuntimeError& error, std::FILE* out) {
    std::fprintf(out, "error: %s\n", error.what());
}

}  // namespace emulsion

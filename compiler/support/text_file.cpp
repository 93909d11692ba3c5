// The runtime reads; its errors become those of the compiler.
#include "compiler/support/text_file.h"

#include "compiler/support/diagnostic.h"
#include "runtime/support/error.h"
#include "runtime/support/file.h"

namespace emulsion {

std::string read_text_file(const std::string& path, uint64_t limit, std::string_view kind,
                           const std::string& code, const std::string& fix) {
    try {
        const Bytes bytes = read_file(path, limit, kind);
        return {bytes.begin(), bytes.end()};
    } catch (const RuntimeError& error) {
        fail(code, fmt::format("'{}': {}", error.where(), error.problem()), fix);
    }
}

}  // namespace emulsion

// See include_folder.h.
#include "dsl/include_folder.h"

#include "compiler/support/host.h"

namespace emulsion {

std::filesystem::path include_folder() {
    const std::filesystem::path installed = library_folder().parent_path() / "include";
    std::error_code error;
    if (std::filesystem::exists(installed / "dsl/emulsion.h", error)) return installed;
    return EMULSION_SOURCE_DIR;
}

}  // namespace emulsion

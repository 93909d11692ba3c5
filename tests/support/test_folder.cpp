// See test_folder.h.
#include "tests/support/test_folder.h"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>

namespace emulsion {

TestFolder::TestFolder() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "emulsion-test-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
}

TestFolder::~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::string TestFolder::operator/(std::string_view name) const {
    return path_ + "/" + std::string(name);
}

std::vector<std::string> TestFolder::names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
        names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace emulsion

// A new folder that disappears, with its content, with the object.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace emulsion {

class TestFolder {
  public:
    TestFolder();
    ~TestFolder();
    TestFolder(const TestFolder&) = delete;
    TestFolder& operator=(const TestFolder&) = delete;

    const std::string& path() const { return path_; }
    std::string operator/(std::string_view name) const;

    // The names in it, sorted.
    std::vector<std::string> names() const;

  private:
    std::string path_;
};

}  // namespace emulsion

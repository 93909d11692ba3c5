// The names of the pictures to classify, some at a time: files and folders of the command line, and
// the lines of a list. Only the names of one folder, and those asked for, are in memory.
#pragma once
#include <string>
#include <vector>

namespace emulsion {

class PictureNames {
  public:
    // `list`: a file, kStandardInput, or empty. Throws RuntimeError where the list cannot be
    // opened.
    PictureNames(std::vector<std::string> places, const std::string& list);
    ~PictureNames();
    PictureNames(const PictureNames&) = delete;
    PictureNames& operator=(const PictureNames&) = delete;

    // The next names, at most `most`; empty at the end. Of a list that is being written, those that
    // are there, once there is one. Throws RuntimeError where a folder or the list cannot be read,
    // or a folder holds no picture.
    std::vector<std::string> next(size_t most);

  private:
    void find_next_place();
    bool read_list();
    void take_lines(size_t most, std::vector<std::string>* names);

    std::vector<std::string> places_;
    size_t next_place_ = 0;
    std::vector<std::string> found_;  // of the place before next_place_
    size_t next_found_ = 0;
    std::string list_, folder_;  // that paths of the list count from
    int descriptor_ = -1;
    std::string text_;  // read, and not yet taken
    bool is_at_end_ = true;
};

}  // namespace emulsion

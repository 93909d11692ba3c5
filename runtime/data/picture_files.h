// Pictures in files of their own, read when they are asked for: trees of folders and lists.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/data/open.h"
#include "runtime/data/source.h"

namespace emulsion {

// Each row is one file, decoded, brought to the network's size by the rule and normalised.
// A row takes the memory of one picture while it is read.
struct PictureFiles : Source {
    std::vector<std::string> paths;  // [n]
    uint32_t sum = 0;                // of names and sizes of the files

    uint64_t count() const override { return paths.size(); }
    void read(uint64_t index, const Normalizer& normalizer, float* row) const override;
    std::string name_of(uint64_t index) const override { return paths[index]; }
    bool is_in_memory() const override { return false; }
    uint64_t bytes() const override;
    uint32_t checksum() const override { return sum; }
    bool has_pictures() const override { return true; }
    Picture picture_at(uint64_t index) const override {
        return read_picture(paths[index], shape, *rule);
    }
};

// The pictures under a folder, in byte order of their paths: hidden files and folders are passed
// over, and so is what does not have a picture's name (see has_picture_name). A folder that links
// lead to again is entered once.
struct FoundPictures {
    std::vector<std::string> paths;  // with the folder in front
    std::vector<uint64_t> sizes;     // bytes of each
    uint64_t skipped = 0;            // files that are no pictures by their name
    std::string first_skipped;
};
FoundPictures find_pictures(const std::string& folder);

// The folders in a folder that are not hidden, in byte order.
std::vector<std::string> folders_in(const std::string& folder);

// FOLDER/CLASS/…/picture. Throws RuntimeError where a class has no picture, there is one class
// only, or the classes are not those of the network.
std::unique_ptr<Source> open_tree(const std::string& folder, const DataRequest& request);

// All pictures under a folder, without labels. Throws RuntimeError where there is none.
std::unique_ptr<Source> open_pictures(const std::string& folder, const DataRequest& request);

// The lines of a list: a path, and behind the blanks its last `fields` words. `example` is such a
// line. Throws RuntimeError where a line has no path in front of them, or there is no line.
struct ListLine {
    std::string path, label;
    std::string where;  // "list.txt:3"
};
std::vector<ListLine> read_list(const std::string& path, uint64_t fields,
                                const std::string& example);
// The path of a list's line, which counts from the list's folder where it is not absolute.
std::string listed_path(const std::string& list, const std::string& path);

// Lines "PATH LABEL", parted by the last blank or tab; a path that is not absolute counts from the
// list's folder. Labels are class indices where all of them are whole numbers, else names. Where
// the network is trained towards nothing, a line is a path alone.
std::unique_ptr<Source> open_list(const std::string& path, const DataRequest& request);

}  // namespace emulsion

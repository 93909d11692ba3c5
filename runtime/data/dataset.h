// A labelled set of pictures in memory, 8 bits a value: made up, or out of IDX files.
//
// `open_dataset` takes a path of a folder, or a name. What has a slash in it or begins with a dot
// is a path and nothing else. `synthetic` and `synthetic:N` are made up (see synthetic.h). A name
// is looked for in $EMULSION_DATA, then in this folder, then, for the known set `fashion-mnist`,
// where Debian's package dataset-fashion-mnist puts it.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/data/idx.h"
#include "runtime/data/source.h"
#include "runtime/support/limits.h"

namespace emulsion {

struct Dataset : Source {
    std::vector<uint8_t> pixels;  // [n][H][W][C]

    uint64_t count() const override;
    void read(uint64_t index, const Normalizer& normalizer, float* row) const override;
    bool is_in_memory() const override { return true; }
    uint64_t bytes() const override { return pixels.size() + labels.size() * sizeof(int32_t); }
    // CRC-32 of the pixels and labels.
    uint32_t checksum() const override;
    bool has_pictures() const override { return shape.channels == 1 || shape.channels == 3; }
    Picture picture_at(uint64_t index) const override {
        return {shape, {picture(index), picture(index) + shape.elements()}};
    }
    const uint8_t* picture(uint64_t index) const {
        return pixels.data() + index * shape.elements();
    }
};

// The folder that a data name or path means; throws RuntimeError, for a known name with the package
// to install. `system_folder` is where packages put their sets.
std::string find_data_folder(const std::string& name_or_path,
                             const std::string& system_folder = "/usr/share/datasets");

constexpr uint64_t kAllPictures = UINT64_MAX;

// What to load at most.
struct DatasetLimits {
    uint64_t take = kAllPictures;
    uint64_t bytes = most_data_bytes();
    PictureRule rule{};  // for pictures of another size
};

// Refuses so many pictures, with their labels, where they take more than `limit` bytes.
void check_data_bytes(uint64_t count, const PictureShape& shape, uint64_t limit,
                      const std::string& name);

// Loads one part, or its first pictures. Headers are judged first: pictures of another height or
// width than `shape`, unless the rule resizes them, counts that disagree, and more bytes than the
// limit are refused before an element is read. Labels of `classes` and above are refused; grey
// becomes the network's channels. Throws RuntimeError.
Dataset open_dataset(const std::string& name_or_path, Part part, const PictureShape& shape,
                     int classes, const DatasetLimits& limits = {});

// Pictures and labels of two IDX files.
Dataset read_idx_dataset(const IdxFiles& files, const PictureShape& shape, int classes,
                         const DatasetLimits& limits = {});

// The same of any source of bytes; without `labels`, the data set has none.
Dataset read_idx_dataset(const ByteSource& images, const ByteSource* labels,
                         const PictureShape& shape, int classes, const DatasetLimits& limits);

// Pictures alone.
Dataset read_idx_pictures(const std::string& path, const PictureShape& shape,
                          const DatasetLimits& limits = {});

}  // namespace emulsion

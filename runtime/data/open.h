// Data by name or path, of any kind: what `--data` of both programs takes.
//
//   synthetic[:N]      made-up pictures (see synthetic.h)
//   fashion-mnist      a known set by its name
//   FOLDER             with IDX files, with CIFAR's binary files, or a tree FOLDER/CLASS/…/picture;
//                      a tree whose folder `train` holds folders has parts, `train` and `test`
//   FILE.csv           label and numbers (see table.h)
//   FILE.bin           records as CIFAR's
//   FILE.so[:ARGUMENT] a reader of the user's own (see user_rows.h)
//   FILE               a list of pictures: a path and a label a line
// For a network with a class index for each pixel: FOLDER with `images` and `masks`, or a list of
// pictures and masks (see masks.h). For one that is trained towards numbers: FILE.csv and lists
// with the numbers in the place of the label. Both: two files, the second a .npy of maps or
// numbers. Two files, of pictures or numbers and of labels, are IDX or .npy, told apart by content.
// For a network that is trained towards nothing: rows alone, of any of these without their labels,
// a folder of pictures, a list of paths, or one file.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/data/dataset.h"
#include "runtime/data/source.h"

namespace emulsion {

// What the network needs, and what the caller wants of the data.
struct DataRequest {
    PictureShape shape;
    // Of a network that reads no pictures, but rows of numbers, the axes of one: (C, L) or (C, D,
    // H, W), which `shape` is another sight of.
    std::vector<int64_t> axes = {};
    IndexRange indices{};  // where rows are indices: see index_rows.h
    // What the network reads besides: of a reader of the user's own, or made up.
    std::vector<ExtraInput> extras = {};
    int classes = 0;
    // [classes] that labels and folders are matched with; empty: their order decides.
    std::vector<std::string> class_names;
    TargetForm target;              // what rows are trained towards; labels are of classes
    bool may_lack_classes = false;  // data of some of the class_names alone are fine
    // How pictures of another size become rows. Nothing: picture files are resized as
    // kDefaultRule says, and other data must have the network's size.
    std::optional<PictureRule> rule;
    double scale = 1.0;  // by which the numbers of tables are divided
    uint64_t take = kAllPictures;
    uint64_t bytes = most_data_bytes();

    DatasetLimits limits() const { return {take, bytes, rule.value_or(PictureRule{})}; }
};

inline constexpr PictureRule kDefaultRule{Resize::kBilinear, Fit::kStretch};

// A pair of files; empty where none is given.
struct DataFiles {
    std::string images, labels;
};

// Throws RuntimeError. Classes that the data name must be those of the network: as many, or, where
// class_names are given, the same ones.
std::unique_ptr<Source> open_source(const std::string& name_or_path, Part part,
                                    const DataRequest& request);
// Without labels where that file is not named.
std::unique_ptr<Source> open_source(const DataFiles& files, const DataRequest& request);

// Whether the data have the part; data without parts have the training part alone. `request` is
// what a reader of the user's own is asked with.
bool has_part(const std::string& name_or_path, Part part, const DataRequest& request);

// The files that opening the part reads, but for the pictures of a tree or a list.
std::vector<std::string> files_of(const std::string& name_or_path, Part part);

}  // namespace emulsion

// Data sets: where they are, and their pictures and labels checked against the network.
#include "runtime/data/dataset.h"

#include <cstdlib>
#include <string_view>
#include <utility>

#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

struct KnownSet {
    std::string_view name;
    std::string_view package;  // Debian's, or empty
};

constexpr KnownSet kKnownSets[] = {
    {"fashion-mnist", "dataset-fashion-mnist"},
    {"mnist", ""},
};

const KnownSet* find_known(std::string_view name) {
    for (const KnownSet& set : kKnownSets) {
        if (set.name == name) return &set;
    }
    return nullptr;
}

std::string known_names() {
    std::string names;
    for (const KnownSet& set : kKnownSets) names += concat(names.empty() ? "" : ", ", set.name);
    return names;
}

void check_shape(const IdxArray& images, const PictureShape& shape, const std::string& path) {
    if (images.shape[1] != static_cast<uint32_t>(shape.height) ||
        images.shape[2] != static_cast<uint32_t>(shape.width)) {
        throw RuntimeError(
            one_line(path),
            concat("the pictures are ", images.shape[2], " wide and ", images.shape[1],
                   " high; the network expects ", shape.width, " wide and ", shape.height, " high"),
            "give data of the network's size, or change the input of the model");
    }
    if (shape.channels != 1 && shape.channels != 3) {
        throw RuntimeError(
            one_line(path),
            concat("the pictures have 1 channel; the network expects ", shape.channels),
            "give the model an input of 1 or 3 channels");
    }
}

void check_labels(const Bytes& labels, int classes, const std::string& path) {
    for (size_t i = 0; i < labels.size(); i++) {
        if (static_cast<int>(labels[i]) < classes) continue;
        throw RuntimeError(
            one_line(path),
            concat("label ", labels[i], " at index ", i, ", but the network has ", classes,
                   " classes (labels 0 to ", classes - 1, ")"),
            concat("give the model at least ", labels[i] + 1, " classes, or correct the label"));
    }
}

// [n][H][W] to [n][H][W][C] by repeating the value.
std::vector<uint8_t> repeat_channels(std::vector<uint8_t> pixels, int channels) {
    if (channels == 1) return pixels;
    std::vector<uint8_t> repeated;
    repeated.reserve(pixels.size() * static_cast<size_t>(channels));
    for (uint8_t value : pixels)
        repeated.insert(repeated.end(), static_cast<size_t>(channels), value);
    return repeated;
}

}  // namespace

std::string find_data_folder(const std::string& name_or_path, const std::string& system_folder) {
    const char* variable = std::getenv("EMULSION_DATA");
    const bool is_path =
        name_or_path.starts_with('.') || name_or_path.find('/') != name_or_path.npos;
    const std::string own =
        variable && *variable && !is_path ? join_path(variable, name_or_path) : "";
    if (name_or_path.empty()) {
        throw RuntimeError("", "the name of the data is empty",
                           concat("give a folder, or one of: ", known_names()));
    }
    if (!own.empty() && is_folder(own)) return own;
    if (is_folder(name_or_path)) return name_or_path;
    const KnownSet* known = find_known(name_or_path);
    if (known == nullptr) {
        bool is_plain_file = is_file(name_or_path);
        throw RuntimeError(one_line(name_or_path),
                           is_plain_file ? "expected a folder of data, but this is a file"
                                         : "there is no such folder, and no known data set of "
                                           "this name",
                           concat("give a folder, or one of: ", known_names()));
    }
    const std::string installed = join_path(system_folder, known->name);
    if (!known->package.empty() && is_folder(installed)) return installed;
    std::string places = own.empty() ? "" : one_line(own) + ", ";
    places += concat("./", known->name);
    if (!known->package.empty()) places += ", " + installed;
    throw RuntimeError(std::string(known->name),
                       concat("the data set is not on this machine; searched: ", places),
                       known->package.empty()
                           ? concat("put its IDX files into a folder and give the folder, or set "
                                    "EMULSION_DATA to the folder above ",
                                    known->name)
                           : concat("apt-get install ", known->package));
}

Dataset read_idx_dataset(const IdxFiles& files, const PictureShape& shape, int classes) {
    IdxArray images = read_idx(files.images, 3);  // [n][H][W]
    IdxArray labels = read_idx(files.labels, 1);  // [n]
    check_shape(images, shape, files.images);
    if (images.shape[0] != labels.shape[0]) {
        throw RuntimeError(one_line(files.images),
                           concat("the file holds ", images.shape[0], " pictures, but ",
                                  quoted(files.labels), " holds ", labels.shape[0], " labels"),
                           "give files that belong together");
    }
    check_labels(labels.values, classes, files.labels);
    Dataset dataset;
    dataset.source = files.images;
    dataset.shape = shape;
    dataset.classes = classes;
    dataset.pixels = repeat_channels(std::move(images.values), shape.channels);
    dataset.labels.assign(labels.values.begin(), labels.values.end());
    return dataset;
}

Dataset open_dataset(const std::string& name_or_path, Part part, const PictureShape& shape,
                     int classes) {
    const std::string folder = find_data_folder(name_or_path);
    Dataset dataset = read_idx_dataset(find_idx_files(folder, part), shape, classes);
    dataset.source = folder;
    return dataset;
}

}  // namespace emulsion

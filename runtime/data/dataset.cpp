// Data sets: where they are, and their pictures and labels checked against the network.
#include "runtime/data/dataset.h"

#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <string_view>

#include "runtime/data/synthetic.h"
#include "runtime/support/error.h"
#include "runtime/support/limits.h"
#include "runtime/support/path.h"
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
    for (const KnownSet& set : kKnownSets) names += concat(set.name, ", ");
    return names + "synthetic";
}

bool has_size(const std::vector<uint32_t>& stored, const PictureShape& shape) {
    return stored[1] == static_cast<uint32_t>(shape.height) &&
           stored[2] == static_cast<uint32_t>(shape.width);
}

void check_shape(const std::vector<uint32_t>& stored, const PictureShape& shape,
                 const PictureRule& rule, const std::string& path) {
    const bool is_resized = rule.resize != Resize::kNone && stored[1] <= kMostPictureSide &&
                            stored[2] <= kMostPictureSide;
    if (!has_size(stored, shape) && !is_resized) {
        throw RuntimeError(
            one_line(path),
            concat("the pictures are ", stored[2], " wide and ", stored[1],
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

// Labels are read before the pictures, of which there must be as many.
Bytes read_labels(IdxReader& reader, uint64_t count) {
    Bytes labels(count);
    reader.read(labels);
    if (count == reader.elements()) reader.finish();
    return labels;
}

// The first `count` pictures, each brought to the network's size.
std::vector<uint8_t> read_resized(IdxReader& reader, uint64_t count, const PictureShape& shape,
                                  const PictureRule& rule, const std::string& name) {
    Picture stored{{1, static_cast<int>(reader.shape()[1]), static_cast<int>(reader.shape()[2])},
                   {}};
    std::vector<uint8_t> pixels;
    pixels.reserve(count * shape.elements());
    for (uint64_t i = 0; i < count; i++) {
        stored.pixels.resize(stored.shape.elements());
        reader.read(stored.pixels);
        const Picture fitted = fit_picture(stored, shape, name, rule);
        pixels.insert(pixels.end(), fitted.pixels.begin(), fitted.pixels.end());
    }
    if (count * stored.shape.elements() == reader.elements()) reader.finish();
    return pixels;
}

// The first `count` pictures: [n][H][W] to [n][H][W][C], the value repeated. Memory is taken as
// the data arrive, so that a false header costs address space only.
std::vector<uint8_t> read_pixels(IdxReader& reader, uint64_t count, const PictureShape& shape) {
    const uint64_t stored =
        static_cast<uint64_t>(shape.height) * static_cast<uint64_t>(shape.width);
    const uint64_t rows = std::max<uint64_t>(1, kMebi / stored);  // read at once
    const auto channels = static_cast<size_t>(shape.channels);
    std::vector<uint8_t> pixels;
    pixels.reserve(count * shape.elements());
    Bytes part;
    for (uint64_t first = 0; first < count; first += rows) {
        part.resize(std::min(rows, count - first) * stored);
        reader.read(part);
        if (channels == 1) {
            pixels.insert(pixels.end(), part.begin(), part.end());
            continue;
        }
        for (uint8_t value : part) pixels.insert(pixels.end(), channels, value);
    }
    if (count * stored == reader.elements()) reader.finish();
    return pixels;
}

}  // namespace

uint64_t Dataset::count() const {
    const uint64_t elements = shape.elements();
    return elements > 0 ? pixels.size() / elements : 0;
}

void Dataset::read(uint64_t index, const Normalizer& normalizer, float* row) const {
    const auto channels = static_cast<uint64_t>(shape.channels);
    normalizer.apply(picture(index), shape.elements() / channels, row);
}

uint32_t Dataset::checksum() const {
    uLong sum = crc32_z(0, pixels.data(), pixels.size());
    for (const std::vector<int32_t>* each : {&labels, &targets}) {
        sum = crc32_z(sum, reinterpret_cast<const Bytef*>(each->data()),
                      each->size() * sizeof(int32_t));
    }
    return static_cast<uint32_t>(sum);
}

void check_data_bytes(uint64_t count, const PictureShape& shape, uint64_t limit,
                      const std::string& name) {
    const uint64_t each = shape.elements() + sizeof(int32_t) + 1;  // with its label, read as a byte
    if (count <= limit / each) return;
    throw RuntimeError(one_line(name),
                       concat(count, " pictures of ", to_text(shape), " need more memory than ",
                              limit, " bytes, what is left of three quarters of all memory"),
                       "use a smaller set, or a machine with more memory");
}

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

Dataset read_idx_dataset(const ByteSource& images, const ByteSource* labels,
                         const PictureShape& shape, int classes, const DatasetLimits& limits) {
    IdxReader pictures(images, 3);  // [n][H][W]
    check_shape(pictures.shape(), shape, limits.rule, images.name());
    const uint64_t count = std::min<uint64_t>(limits.take, pictures.shape()[0]);
    check_data_bytes(count, shape, limits.bytes, images.name());
    Dataset dataset;
    dataset.source = images.name();
    dataset.shape = shape;
    dataset.classes = classes;
    if (limits.rule.resize != Resize::kNone) dataset.rule = limits.rule;
    try {
        if (labels != nullptr) {
            IdxReader reader(*labels, 1);  // [n]
            if (pictures.shape()[0] != reader.shape()[0]) {
                images.refuse(
                    concat("the file holds ", pictures.shape()[0], " pictures, but ",
                           quoted(labels->name()), " holds ", reader.shape()[0], " labels"),
                    "give files that belong together");
            }
            const Bytes values = read_labels(reader, count);
            check_labels(values, classes, labels->name());
            dataset.labels.assign(values.begin(), values.end());
        }
        dataset.pixels = has_size(pictures.shape(), shape)
                             ? read_pixels(pictures, count, shape)
                             : read_resized(pictures, count, shape, limits.rule, images.name());
    } catch (const std::bad_alloc&) {
        images.refuse(concat("its ", count, " pictures do not fit into memory"),
                      "use a smaller set");
    }
    return dataset;
}

Dataset read_idx_dataset(const IdxFiles& files, const PictureShape& shape, int classes,
                         const DatasetLimits& limits) {
    const ByteSource images(files.images, "IDX file"), labels(files.labels, "IDX file");
    return read_idx_dataset(images, &labels, shape, classes, limits);
}

Dataset read_idx_pictures(const std::string& path, const PictureShape& shape,
                          const DatasetLimits& limits) {
    const ByteSource images(path, "IDX file");
    return read_idx_dataset(images, nullptr, shape, 0, limits);
}

Dataset open_dataset(const std::string& name_or_path, Part part, const PictureShape& shape,
                     int classes, const DatasetLimits& limits) {
    if (const auto made_up = synthetic_count(name_or_path)) {
        const uint64_t count = std::min(*made_up, limits.take);
        check_data_bytes(count, shape, limits.bytes, name_or_path);
        return make_synthetic(count, part, shape, classes);
    }
    const std::string folder = find_data_folder(name_or_path);
    Dataset dataset = read_idx_dataset(find_idx_files(folder, part), shape, classes, limits);
    dataset.source = folder;
    return dataset;
}

}  // namespace emulsion

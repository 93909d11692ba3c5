// See cifar.h.
#include "runtime/data/cifar.h"

#include <algorithm>
#include <string_view>

#include "runtime/support/error.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr uint64_t kSide = 32, kPlane = kSide * kSide, kPixels = 3 * kPlane;
constexpr uint64_t kMostNames = kMebi;  // bytes of a file of class names

std::string_view name_of(std::string_view path) { return path.substr(path.find_last_of('/') + 1); }

// Bytes of labels in front of the pixels.
uint64_t label_bytes(const ByteSource& file) {
    const std::string_view name = name_of(file.name());
    const bool is_fine = name == "train.bin" || name == "test.bin";
    const uint64_t preferred = is_fine ? 2 : 1, other = 3 - preferred;
    for (const uint64_t bytes : {preferred, other}) {
        if (file.size() > 0 && file.size() % (kPixels + bytes) == 0) return bytes;
    }
    file.refuse(concat("the file has ", file.size(), " bytes, which are no records of ",
                       kPixels + 1, " (CIFAR-10) or ", kPixels + 2, " (CIFAR-100)"),
                "replace the file: it is cut, or holds something else");
}

// record: [3][32][32] to [32][32][3]
Picture to_picture(const uint8_t* planes) {
    Picture picture{{3, kSide, kSide}, std::vector<uint8_t>(kPixels)};
    for (uint64_t i = 0; i < kPlane; i++) {
        for (uint64_t c = 0; c < 3; c++) picture.pixels[3 * i + c] = planes[c * kPlane + i];
    }
    return picture;
}

void read_file_of(const ByteSource& file, uint64_t count, const DatasetLimits& limits,
                  Dataset* dataset) {
    const uint64_t labels = label_bytes(file), each = labels + kPixels;
    Bytes record(each);
    for (uint64_t i = 0; i < count; i++) {
        file.read(i * each, record);
        const int label = record[labels - 1];
        if (label >= dataset->classes) {
            file.refuse(
                concat("label ", label, " at index ", i, ", but the network has ", dataset->classes,
                       " classes (labels 0 to ", dataset->classes - 1, ")"),
                concat("give the model at least ", label + 1, " classes"));
        }
        const Picture picture = fit_picture(to_picture(record.data() + labels), dataset->shape,
                                            file.name(), limits.rule);
        dataset->labels.push_back(label);
        dataset->pixels.insert(dataset->pixels.end(), picture.pixels.begin(), picture.pixels.end());
    }
}

// The lines of the file of class names beside the data, where there are as many as classes.
std::vector<std::string> read_class_names(const std::string& data_file, int classes) {
    for (const char* name : {"batches.meta.txt", "fine_label_names.txt"}) {
        const std::string path = join_path(folder_of(data_file), name);
        if (!is_file(path)) continue;
        const Bytes bytes = read_file(path, kMostNames, "file of class names");
        std::vector<std::string> names(1);
        for (uint8_t byte : bytes) {
            if (byte == '\n') names.emplace_back();
            if (byte != '\n' && byte != '\r') names.back() += static_cast<char>(byte);
        }
        std::erase(names, "");
        if (names.size() == static_cast<size_t>(classes)) return names;
    }
    return {};
}

}  // namespace

std::vector<std::string> find_cifar_files(const std::string& folder, Part part) {
    std::vector<std::string> files;
    const auto add = [&](const std::string& name) {
        const std::string path = join_path(folder, name);
        if (is_file(path)) files.push_back(path);
    };
    if (part == Part::train) {
        for (int i = 1; i <= 5; i++) add(concat("data_batch_", i, ".bin"));
        if (files.empty()) add("train.bin");
    } else {
        add("test_batch.bin");
        if (files.empty()) add("test.bin");
    }
    return files;
}

Dataset read_cifar(const std::vector<std::string>& files, const PictureShape& shape, int classes,
                   const DatasetLimits& limits) {
    Dataset dataset;
    dataset.source = files.size() == 1 ? files[0] : folder_of(files[0]);
    dataset.shape = shape;
    dataset.classes = classes;
    if (limits.rule.resize != Resize::kNone) dataset.rule = limits.rule;
    uint64_t left = limits.take;
    for (const std::string& path : files) {
        const ByteSource file(path, "CIFAR file");
        const uint64_t count = std::min(left, file.size() / (kPixels + label_bytes(file)));
        check_data_bytes(dataset.labels.size() + count, shape, limits.bytes, path);
        read_file_of(file, count, limits, &dataset);
        left -= count;
    }
    dataset.class_names = read_class_names(files[0], classes);
    return dataset;
}

}  // namespace emulsion

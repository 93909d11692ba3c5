// See masks.h.
#include "runtime/data/masks.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "runtime/data/checksum.h"
#include "runtime/data/picture_files.h"
#include "runtime/support/error.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr const char* kImages = "images";
constexpr const char* kMasks = "masks";
constexpr const char* kExample = "images/1.jpg masks/1.png";

struct MaskedPictures : PictureFiles {
    std::vector<std::string> masks;  // [n]

    Picture picture_at(uint64_t index) const override;
    void read_target(uint64_t index, int32_t* target_row) const override;
    uint64_t bytes() const override;
};

// Width and height of a mask by its header.
std::pair<int, int> size_of(const Picture& picture) {
    return {picture.shape.width, picture.shape.height};
}

// The whole picture is decoded, so that its size is known, and the mask checked against it.
Picture MaskedPictures::picture_at(uint64_t index) const {
    Picture picture = read_picture(paths[index], PictureLimits{});
    const Picture mask = read_mask(masks[index]);
    if (size_of(picture) != size_of(mask)) {
        throw RuntimeError(one_line(masks[index]),
                           concat("the mask is ", mask.shape.width, " wide and ", mask.shape.height,
                                  " high, but its picture ", quoted(paths[index]), " is ",
                                  picture.shape.width, " wide and ", picture.shape.height, " high"),
                           "give a mask with one class index for each pixel of its picture");
    }
    return fit_picture(std::move(picture), shape, paths[index], *rule);
}

void MaskedPictures::read_target(uint64_t index, int32_t* target_row) const {
    Picture mask = read_mask(masks[index]);
    // By the file's own size, so that what is wrong is found wherever it is.
    for (size_t i = 0; i < mask.pixels.size(); i++) {
        const int32_t value = mask.pixels[i];
        if (value < classes || value == target.ignored) continue;
        const auto width = static_cast<size_t>(mask.shape.width);
        throw RuntimeError(
            one_line(masks[index]),
            concat(
                "the class index at column ", i % width, ", row ", i / width, " is ", value,
                ", but the network has ", classes, " classes (indices 0 to ", classes - 1,
                target.ignored ? concat(", and ", *target.ignored, " where nothing counts)") : ")"),
            concat("correct the mask, give the model more classes, or .ignored = ", value));
    }
    const PictureRule nearest{Resize::kNearest, rule->fit};
    if (mask.shape.height != target.shape.height || mask.shape.width != target.shape.width)
        mask = resize_picture(mask, target.shape.height, target.shape.width, nearest);
    std::copy(mask.pixels.begin(), mask.pixels.end(), target_row);
}

uint64_t MaskedPictures::bytes() const {
    uint64_t bytes = PictureFiles::bytes();
    for (const std::string& mask : masks) bytes += mask.size() + sizeof(std::string);
    return bytes;
}

std::unique_ptr<MaskedPictures> make_pictures(const std::string& name, const DataRequest& request) {
    auto files = std::make_unique<MaskedPictures>();
    files->source = name;
    files->shape = request.shape;
    files->classes = request.classes;
    files->target = request.target;
    files->rule = request.rule.value_or(kDefaultRule);
    return files;
}

// `names` tells these files from others, wherever their folder is.
std::unique_ptr<Source> end_pictures(std::unique_ptr<MaskedPictures> files,
                                     const std::string& names, uint64_t take) {
    files->sum = static_cast<uint32_t>(checksum_of(names));
    const size_t count = files->paths.size();
    files->note = concat("found ", count, count == 1 ? " picture" : " pictures",
                         count == 1 ? " with its mask" : " with a mask each");
    if (take < count) {
        files->paths.resize(take);
        files->masks.resize(take);
    }
    return files;
}

// "a/b" of "FOLDER/images/a/b.jpg".
std::string stem_of(const std::string& path, const std::string& folder) {
    const std::string name = path.substr(join_path(folder, "").size());
    return name.substr(0, name.rfind('.'));
}

// The files in the folder by their names without ending.
std::map<std::string, std::string> find_by_stem(const std::string& folder) {
    std::map<std::string, std::string> found;
    for (const std::string& path : find_pictures(folder).paths) {
        const auto [place, is_new] = found.emplace(stem_of(path, folder), path);
        if (is_new) continue;
        throw RuntimeError(one_line(path),
                           concat("has the name of ", quoted(place->second), " but for the ending"),
                           "give each picture a name of its own");
    }
    return found;
}

}  // namespace

Picture read_mask(const std::string& path) {
    return decode_index_png(read_file(path, kMostPictureFile, "mask"), path);
}

std::unique_ptr<Source> open_mask_folder(const std::string& folder, const DataRequest& request) {
    const std::string images = join_path(folder, kImages), masks = join_path(folder, kMasks);
    if (!is_folder(images) || !is_folder(masks)) {
        throw RuntimeError(one_line(folder),
                           concat("the network classifies each pixel, but the folder holds no ",
                                  is_folder(images) ? kMasks : kImages),
                           "give a folder that holds images/NAME.jpg and masks/NAME.png");
    }
    auto files = make_pictures(folder, request);
    std::map<std::string, std::string> mask_of = find_by_stem(masks);
    std::string names;
    for (const auto& [stem, path] : find_by_stem(images)) {
        const auto found = mask_of.find(stem);
        if (found == mask_of.end()) {
            throw RuntimeError(
                one_line(path), "has no mask",
                concat("put its mask at ", join_path(masks, one_line(stem)), ".png"));
        }
        files->paths.push_back(path);
        files->masks.push_back(found->second);
        names += stem + "\n";
        mask_of.erase(found);
    }
    if (!mask_of.empty()) {
        const auto& [stem, path] = *mask_of.begin();
        throw RuntimeError(
            one_line(path), "is a mask without a picture",
            concat("put its picture at ", join_path(images, one_line(stem)), ".jpg or .png"));
    }
    if (files->paths.empty()) {
        throw RuntimeError(one_line(images), "the folder holds no picture",
                           "put pictures (.png, .jpg, .jpeg, .bmp, .ppm, .pgm) into it");
    }
    return end_pictures(std::move(files), names, request.take);
}

std::unique_ptr<Source> open_mask_list(const std::string& path, const DataRequest& request) {
    auto files = make_pictures(path, request);
    std::string names;
    for (const ListLine& line : read_list(path, 1, kExample)) {
        const std::string mask = listed_path(path, line.label);
        if (!is_file(mask)) {
            throw RuntimeError(line.where, concat("there is no mask ", quoted(mask)),
                               concat("write a picture and its mask, such as \"", kExample, "\""));
        }
        files->paths.push_back(listed_path(path, line.path));
        files->masks.push_back(mask);
        names += concat(line.path, " ", line.label, "\n");
    }
    return end_pictures(std::move(files), names, request.take);
}

}  // namespace emulsion

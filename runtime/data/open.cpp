// See open.h.
#include "runtime/data/open.h"

#include <algorithm>
#include <utility>

#include "runtime/data/cifar.h"
#include "runtime/data/index_rows.h"
#include "runtime/data/masks.h"
#include "runtime/data/picture_files.h"
#include "runtime/data/synthetic.h"
#include "runtime/data/table.h"
#include "runtime/data/user_rows.h"
#include "runtime/support/error.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

enum class Kind { kMadeUp, kIdx, kCifar, kTree, kCsv, kCifarFile, kList, kReader };

// Whether the folder is a tree of parts: what it calls `train` holds folders.
bool has_parts(const std::string& folder) {
    const std::string train = join_path(folder, "train");
    return is_folder(train) && !folders_in(train).empty();
}

// Where the part of a tree is.
std::string part_of(const std::string& folder, Part part) {
    if (!has_parts(folder)) return folder;
    return join_path(folder, part == Part::train ? "train" : "test");
}

struct Place {
    Kind kind = Kind::kIdx;
    std::string path;
};

Place find_place(const std::string& name) {
    if (synthetic_count(name)) return {Kind::kMadeUp, name};
    if (find_user_reader(name)) return {Kind::kReader, name};
    if (is_file(name)) {
        if (name.ends_with(".csv")) return {Kind::kCsv, name};
        if (name.ends_with(".bin")) return {Kind::kCifarFile, name};
        if (is_npy(name)) {
            throw RuntimeError(one_line(name), "an array alone has no labels",
                               "give it with --images FILE, and its labels with --labels FILE");
        }
        return {Kind::kList, name};
    }
    const std::string folder = find_data_folder(name);
    const auto has_any = [&](auto has) { return has(Part::train) || has(Part::test); };
    if (has_any([&](Part part) { return has_idx_files(folder, part); }))
        return {Kind::kIdx, folder};
    if (has_any([&](Part part) { return !find_cifar_files(folder, part).empty(); }))
        return {Kind::kCifar, folder};
    // What holds nothing is refused as a folder of IDX files.
    return {folders_in(folder).empty() ? Kind::kIdx : Kind::kTree, folder};
}

std::unique_ptr<Source> keep(Dataset dataset) {
    return std::make_unique<Dataset>(std::move(dataset));
}

bool has_rows(const UserReader& reader, Part part, const DataRequest& request) {
    return open_user_rows(reader, part, request)->count() > 0;
}

Dataset read_cifar_part(const std::string& folder, Part part, const DataRequest& request) {
    const std::vector<std::string> files = find_cifar_files(folder, part);
    if (files.empty()) {
        throw RuntimeError(one_line(folder),
                           concat("has no ", part == Part::train ? "training" : "test", " part"),
                           "give a folder with data_batch_1.bin to data_batch_5.bin and "
                           "test_batch.bin, or train.bin and test.bin");
    }
    return read_cifar(files, request.shape, request.classes, request.limits());
}

// Refuses rows of one input where the network reads several.
void check_inputs(bool has_extras, const std::string& name, const DataRequest& request) {
    if (request.extras.empty() || has_extras) return;
    const ExtraInput& extra = request.extras[0];
    throw RuntimeError(one_line(name),
                       concat("has rows of one input, but the network also reads ",
                              quoted(extra.name), " of shape ", shape_text(extra.shape)),
                       "give a reader of your own (see examples/reader.c), or synthetic");
}

// Refuses pictures where the network reads rows of numbers.
void check_kind(bool has_numbers, const std::string& name, const DataRequest& request) {
    if (request.axes.empty() || has_numbers) return;
    throw RuntimeError(
        one_line(name),
        concat("holds pictures, but the network reads ",
               request.axes.size() == 2 ? "lines of numbers" : "volumes of numbers"),
        "give rows of numbers: --images FILE.npy --labels FILE.npy, or --data FILE.csv");
}

constexpr const char* kIndexFix =
    "give rows of indices: --images FILE.npy --labels FILE.npy, or --data FILE.csv";

std::unique_ptr<Source> open_indices(const Place& place, const std::string& name, Part part,
                                     const DataRequest& request) {
    if (place.kind == Kind::kCsv) return read_index_csv(place.path, request);
    if (place.kind == Kind::kMadeUp) {
        const uint64_t count = std::min(*synthetic_count(name), request.take);
        check_data_bytes(count, {request.shape.channels * 4, 1, request.shape.width}, request.bytes,
                         name);
        return make_synthetic_indices(count, part, request);
    }
    throw RuntimeError(one_line(name), "holds pictures, but the network reads indices", kIndexFix);
}

std::unique_ptr<Source> open_labelled(const Place& place, Part part, const DataRequest& request) {
    switch (place.kind) {
        case Kind::kMadeUp:
        case Kind::kIdx:
            return keep(
                open_dataset(place.path, part, request.shape, request.classes, request.limits()));
        case Kind::kCifar:
            return keep(read_cifar_part(place.path, part, request));
        case Kind::kCifarFile:
            return keep(read_cifar({place.path}, request.shape, request.classes, request.limits()));
        case Kind::kTree:
            return open_tree(part_of(place.path, part), request);
        case Kind::kCsv:
            return read_csv(place.path, request);
        case Kind::kList:
            return open_list(place.path, request);
        case Kind::kReader:
            return open_user_rows(*find_user_reader(place.path), part, request);
    }
    return nullptr;
}

// Rows alone, of whatever has labels, too.
std::unique_ptr<Source> open_unlabelled(const Place& place, Part part, DataRequest request) {
    if (place.kind == Kind::kTree) return open_pictures(part_of(place.path, part), request);
    if (place.kind == Kind::kIdx) {
        if (!has_idx_files(place.path, part)) return open_pictures(place.path, request);
        return keep(read_idx_pictures(find_idx_files(place.path, part).images, request.shape,
                                      request.limits()));
    }
    if (place.kind == Kind::kMadeUp) request.classes = 1;
    if (place.kind == Kind::kCifar || place.kind == Kind::kCifarFile)
        request.classes = UINT8_MAX + 1;  // any label will do
    auto source = open_labelled(place, part, request);
    source->labels.clear();
    return source;
}

// Data of what is no class of a row.
std::unique_ptr<Source> open_targets(const Place& place, Part part, const DataRequest& request) {
    const bool is_map = request.target.kind == TargetKind::kMap;
    const bool has_pictures = request.axes.empty() && request.target.axes.empty();
    if (is_map && has_pictures && place.kind == Kind::kTree)
        return open_mask_folder(part_of(place.path, part), request);
    if (has_pictures && place.kind == Kind::kList)
        return is_map ? open_mask_list(place.path, request) : open_number_list(place.path, request);
    if (!is_map && place.kind == Kind::kCsv) return read_csv(place.path, request);
    if (place.kind == Kind::kReader)
        return open_user_rows(*find_user_reader(place.path), part, request);
    throw RuntimeError(
        one_line(place.path),
        is_map ? concat("holds no ", has_pictures ? "masks" : "maps",
                        ", but the network classifies each ", has_pictures ? "pixel" : "position")
               : concat("holds no numbers to be predicted, but the network is trained towards ",
                        request.target.elements(), request.target.elements() == 1 ? "" : " each"),
        !has_pictures
            ? "give two files, --images FILE.npy --labels FILE.npy, or a reader of your own"
        : is_map
            ? "give a folder with images/ and masks/, a list of pictures and masks, a reader of "
              "your own, or --images FILE --labels FILE.npy"
            : "give a .csv file or a list of pictures with the numbers of each, a reader of your "
              "own, or --images FILE --labels FILE.npy");
}

// The rows, but for made-up extra inputs.
std::unique_ptr<Source> open_place(const Place& place, const std::string& name, Part part,
                                   const DataRequest& request) {
    if (request.indices.limit > 0) return open_indices(place, name, part, request);
    const bool has_labels = request.target.kind == TargetKind::kLabel,
               is_alone = request.target.kind == TargetKind::kNothing;
    if (!has_labels && !is_alone) return open_targets(place, part, request);
    check_kind(
        place.kind == Kind::kMadeUp || place.kind == Kind::kCsv || place.kind == Kind::kReader,
        name, request);
    return is_alone ? open_unlabelled(place, part, request) : open_labelled(place, part, request);
}

}  // namespace

std::unique_ptr<Source> open_source(const std::string& name_or_path, Part part,
                                    const DataRequest& request) {
    const Place place = find_place(name_or_path);
    check_inputs(place.kind == Kind::kReader || place.kind == Kind::kMadeUp, name_or_path, request);
    auto source = open_place(place, name_or_path, part, request);
    if (place.kind == Kind::kMadeUp) add_synthetic_extras(part, request.extras, source.get());
    return source;
}

std::unique_ptr<Source> open_source(const DataFiles& files, const DataRequest& request) {
    check_inputs(/*has_extras=*/false, files.images, request);
    const bool has_targets =
        request.target.kind == TargetKind::kMap || request.target.kind == TargetKind::kNumbers;
    if (has_targets && !files.labels.empty()) {
        auto source = open_source(DataFiles{files.images, ""}, request);
        source->targets = read_npy_targets(files.labels, request);
        source->target = request.target;
        const uint64_t rows = source->targets.size() / request.target.elements();
        if (rows < source->count() || (rows > source->count() && source->count() < request.take)) {
            throw RuntimeError(one_line(files.labels),
                               concat("holds ", rows, rows == 1 ? " row, but " : " rows, but ",
                                      quoted(files.images), " holds ", source->count()),
                               "give files that belong together");
        }
        return source;
    }
    if (is_npy(files.images)) return read_npy(files.images, files.labels, request);
    if (request.indices.limit > 0) {
        throw RuntimeError(one_line(files.images), "is no .npy file, but the network reads indices",
                           kIndexFix);
    }
    check_kind(/*has_numbers=*/false, files.images, request);
    if (files.labels.empty())
        return keep(read_idx_pictures(files.images, request.shape, request.limits()));
    return keep(read_idx_dataset({files.images, files.labels}, request.shape, request.classes,
                                 request.limits()));
}

bool has_part(const std::string& name_or_path, Part part, const DataRequest& request) {
    const Place place = find_place(name_or_path);
    switch (place.kind) {
        case Kind::kMadeUp:
            return true;
        case Kind::kIdx:
            return has_idx_files(place.path, part);
        case Kind::kCifar:
            return !find_cifar_files(place.path, part).empty();
        case Kind::kTree:
            return part == Part::train ||
                   (has_parts(place.path) && is_folder(part_of(place.path, part)));
        case Kind::kCsv:
        case Kind::kCifarFile:
        case Kind::kList:
            return part == Part::train;
        case Kind::kReader:
            return part == Part::train || has_rows(*find_user_reader(place.path), part, request);
    }
    return false;
}

std::vector<std::string> files_of(const std::string& name_or_path, Part part) {
    const Place place = find_place(name_or_path);
    switch (place.kind) {
        case Kind::kMadeUp:
        case Kind::kTree:
            return {};
        case Kind::kIdx: {
            if (!has_idx_files(place.path, part)) return {};
            const IdxFiles found = find_idx_files(place.path, part);
            return {found.images, found.labels};
        }
        case Kind::kCifar:
            return find_cifar_files(place.path, part);
        case Kind::kCsv:
        case Kind::kCifarFile:
        case Kind::kList:
            return part == Part::train ? std::vector{place.path} : std::vector<std::string>{};
        case Kind::kReader:
            return {find_user_reader(place.path)->library};
    }
    return {};
}

}  // namespace emulsion

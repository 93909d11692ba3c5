// See outputs.h.
#include "runtime/infer/outputs.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include "runtime/support/error.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

bool is_shown(const emulsion_port& port) { return port.type == EMULSION_F32 && port.batched == 1; }

std::string list_outputs(const emulsion_info& info) {
    std::string names;
    for (int i = 0; i < info.output_count; i++) {
        if (is_shown(info.outputs[i]))
            names += concat(names.empty() ? "" : ", ", info.outputs[i].name);
    }
    return names;
}

std::span<const uint8_t> bytes_of(std::string_view text) {
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

constexpr const char* kNames = "pictures.txt";

// Made where it is not there.
std::string made(const std::string& folder) {
    make_folder(folder);
    return folder;
}

}  // namespace

float OutputValues::at(size_t i) const {
    if (port->rank != 3) return values[i];
    const auto pixels = static_cast<size_t>(port->shape[1] * port->shape[2]);
    return values[i % pixels * static_cast<size_t>(port->shape[0]) + i / pixels];
}

std::vector<int> find_outputs(const emulsion_info& info, std::span<const std::string> names,
                              const std::string& option) {
    std::vector<int> found;
    for (int i = 0; i < info.output_count && names.empty(); i++) {
        if (is_shown(info.outputs[i])) found.push_back(i);
    }
    for (const std::string& name : names) {
        const auto* end = info.outputs + info.output_count;
        const auto* port = std::find_if(info.outputs, end, [&](const emulsion_port& each) {
            return is_shown(each) && each.name == name;
        });
        if (port == end) {
            throw RuntimeError(option,
                               concat("the network hands out no ", quoted(name),
                                      "; its outputs are ", list_outputs(info)),
                               "name one of them, or add m.output(name, tensor) to the model");
        }
        found.push_back(static_cast<int>(port - info.outputs));
    }
    return found;
}

std::vector<int> find_maps(const emulsion_info& info, std::span<const std::string> names,
                           const char* mode) {
    std::vector<int> maps = find_outputs(info, names, "--output");
    std::erase_if(maps, [&](int output) { return info.outputs[output].rank != 3; });
    if (maps.empty()) {
        throw RuntimeError(mode, "the network hands out no map (C, H, W)",
                           "add m.output(\"maps\", tensor) to the model");
    }
    return maps;
}

bool has_finite_values(std::span<const OutputValues> outputs) {
    return std::all_of(outputs.begin(), outputs.end(), [](const OutputValues& output) {
        return std::all_of(output.values.begin(), output.values.end(),
                           [](float value) { return std::isfinite(value); });
    });
}

std::string npy_header(uint64_t count, std::span<const int64_t> shape) {
    std::string header("\x93NUMPY\x01\0", 8);
    const size_t length = kNpyHeader - header.size() - 2;
    header += static_cast<char>(length & 255);
    header += static_cast<char>(length >> 8);
    header += concat("{'descr': '<f4', 'fortran_order': False, 'shape': (", count, ",");
    for (int64_t extent : shape) header += concat(" ", extent, ",");
    header += "), }";
    header.resize(kNpyHeader - 1, ' ');
    return header + "\n";
}

OutputFiles::OutputFiles(const std::string& folder, const emulsion_info& info,
                         std::span<const int> outputs)
    : names_(join_path(made(folder), kNames)) {
    for (const int output : outputs) {
        const emulsion_port& port = info.outputs[output];
        ports_.push_back(&port);
        arrays_.push_back(
            std::make_unique<AtomicFile>(join_path(folder, concat(port.name, ".npy"))));
        arrays_.back()->write(
            bytes_of(npy_header(0, {port.shape, static_cast<size_t>(port.rank)})));
    }
}

void OutputFiles::add(const std::string& picture, std::span<const OutputValues> outputs) {
    for (size_t i = 0; i < outputs.size(); i++) {
        const OutputValues& output = outputs[i];
        row_.resize(output.values.size());
        for (size_t place = 0; place < row_.size(); place++) row_[place] = output.at(place);
        arrays_[i]->write(
            {reinterpret_cast<const uint8_t*>(row_.data()), row_.size() * sizeof(float)});
    }
    names_.write(bytes_of(one_line(picture) + "\n"));
    count_++;
}

void OutputFiles::commit() {
    for (size_t i = 0; i < arrays_.size(); i++) {
        const emulsion_port& port = *ports_[i];
        const std::string header = npy_header(count_, {port.shape, static_cast<size_t>(port.rank)});
        arrays_[i]->rewrite(0, bytes_of(header));
        arrays_[i]->sync();
    }
    names_.sync();
    for (const auto& array : arrays_) array->commit();
    names_.commit();
}

std::string picture_file_name(uint64_t index, const std::string& text) {
    std::string digits = concat(index);
    digits.insert(0, digits.size() < 5 ? 5 - digits.size() : 0, '0');
    std::string name;
    for (char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const bool is_plain = byte < 128 && std::isalnum(byte) != 0;
        if (is_plain) name += static_cast<char>(std::tolower(byte));
        if (!is_plain && !name.empty() && name.back() != '-') name += '-';
    }
    if (!name.empty() && name.back() == '-') name.pop_back();
    return concat(digits, name.empty() ? "" : "-", name, ".png");
}

std::string stem_of(const std::string& path) {
    const size_t slash = path.rfind('/');
    const std::string name = slash == path.npos ? path : path.substr(slash + 1);
    return name.substr(0, name.rfind('.'));
}

std::array<uint8_t, 3> index_colour(int index) {
    std::array<uint8_t, 3> colour{};
    for (unsigned bit = 0; bit < 8; bit++) {
        const unsigned value = static_cast<unsigned>(index) >> bit & 1;
        colour[bit % 3] = static_cast<uint8_t>(colour[bit % 3] | value << (7 - bit / 3));
    }
    return colour;
}

std::string write_mask(const std::string& folder, uint64_t index, const std::string& picture,
                       std::span<const float> scores, const PictureShape& shape) {
    const auto classes = static_cast<size_t>(shape.channels);
    Picture mask{{1, shape.height, shape.width}, {}};
    mask.pixels.reserve(mask.shape.elements());
    for (size_t i = 0; i < scores.size(); i += classes) {
        const auto pixel = scores.subspan(i, classes);
        mask.pixels.push_back(
            static_cast<uint8_t>(std::max_element(pixel.begin(), pixel.end()) - pixel.begin()));
    }
    const std::string path = join_path(folder, picture_file_name(index, stem_of(picture)));
    std::vector<std::array<uint8_t, 3>> palette;
    for (int i = 0; i < shape.channels; i++) palette.push_back(index_colour(i));
    write_file(path, encode_index_png(mask, palette));
    return path;
}

}  // namespace emulsion

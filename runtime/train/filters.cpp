// See filters.h.
#include "runtime/train/filters.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "runtime/data/layout.h"
#include "runtime/data/safetensors.h"
#include "runtime/data/weight_values.h"

namespace emulsion {

namespace {

constexpr int64_t kMostValues = 1 << 24;

// Nothing where the shape is not that of filters to be shown.
std::optional<Filters> filters_of(std::string name, std::span<const int64_t> shape) {
    if (shape.size() != 4 || shape[2] > kMostFilterSide || shape[3] > kMostFilterSide)
        return std::nullopt;
    int64_t count = 1;
    for (int64_t length : shape) {
        if (length < 1 || length > kMostValues / count) return std::nullopt;
        count *= length;
    }
    if (shape[2] * shape[3] < 2) return std::nullopt;
    const auto length = [&](size_t axis) { return static_cast<int>(shape[axis]); };
    return Filters{std::move(name), length(0), length(1),
                   length(2),       length(3), std::vector<float>(static_cast<size_t>(count))};
}

// The pixel of a value.
uint8_t shade(float value, float most) {
    if (!(most > 0.0f) || !std::isfinite(value)) return 128;
    return static_cast<uint8_t>(std::lround(127.5f + 127.5f * value / most));
}

}  // namespace

std::optional<Filters> first_filters(const emulsion_info& info, const emulsion_memory& memory) {
    for (int i = 0; i < info.tensor_count; i++) {
        const emulsion_tensor& tensor = info.tensors[i];
        if (tensor.memory_class != EMULSION_PARAMETERS || tensor.type != EMULSION_F32) continue;
        auto filters = filters_of(tensor.name, shape_of(tensor));
        if (!filters) continue;
        unpack(tensor, tensor_memory(tensor, memory), filters->values.data());
        return filters;
    }
    return std::nullopt;
}

std::optional<Filters> first_filters(const std::string& path) {
    const ByteSource input(path, "weights file");
    const SafetensorsHeader header = read_safetensors(input);
    for (const TensorEntry& entry : header.tensors) {
        auto filters = filters_of(entry.name, entry.shape);
        if (!filters || entry.type != "F32") continue;
        read_values(input, header, entry, [&](uint64_t first, std::span<const float> values) {
            std::copy(values.begin(), values.end(),
                      filters->values.begin() + static_cast<std::ptrdiff_t>(first));
        });
        return filters;
    }
    return std::nullopt;
}

Picture filters_picture(const Filters& filters) {
    const int count = std::min(filters.count, kMostFilters);
    const int columns = std::min(16, static_cast<int>(std::ceil(std::sqrt(count))));
    const int rows = (count + columns - 1) / columns;
    const int channels = filters.channels == 3 ? 3 : 1;
    Picture picture{{channels, rows * (filters.height + 1) + 1, columns * (filters.width + 1) + 1},
                    {}};
    picture.pixels.assign(picture.shape.elements(), 128);
    float most = 0.0f;
    for (float value : filters.values) {
        if (std::isfinite(value)) most = std::max(most, std::fabs(value));
    }
    const auto at = [&](int filter, int channel, int y, int x) {
        const auto row = static_cast<size_t>((filter * filters.channels + channel)) *
                             static_cast<size_t>(filters.height) +
                         static_cast<size_t>(y);
        return filters.values[row * static_cast<size_t>(filters.width) + static_cast<size_t>(x)];
    };
    for (int i = 0; i < count; i++) {
        const int top = i / columns * (filters.height + 1) + 1;
        const int left = i % columns * (filters.width + 1) + 1;
        for (int y = 0; y < filters.height; y++) {
            for (int x = 0; x < filters.width; x++) {
                const int pixel = (top + y) * picture.shape.width + left + x;
                for (int c = 0; c < channels; c++) {
                    picture.pixels[static_cast<size_t>(pixel * channels + c)] =
                        shade(at(i, c, y, x), most);
                }
            }
        }
    }
    return picture;
}

}  // namespace emulsion

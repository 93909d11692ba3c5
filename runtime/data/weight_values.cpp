// See weight_values.h.
#include "runtime/data/weight_values.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "runtime/data/checksum.h"
#include "runtime/data/weights.h"
#include "runtime/support/text.h"

namespace emulsion {

const char* const kNotFiniteFix = "give weights of an earlier step";

std::span<const int64_t> shape_of(const emulsion_tensor& tensor) {
    return {tensor.shape, static_cast<size_t>(tensor.rank)};
}

void read_values(const ByteSource& input, const SafetensorsHeader& header, const TensorEntry& entry,
                 const VisitValues& visit) {
    constexpr uint64_t kChunk = 1 << 18;  // elements read at once
    const uint64_t count = (entry.end - entry.begin) / sizeof(float);
    std::vector<float> buffer(std::min(kChunk, count));
    for (uint64_t first = 0; first < count; first += kChunk) {
        const std::span<float> part(buffer.data(), std::min(kChunk, count - first));
        input.read(header.data_begin + entry.begin + first * sizeof(float),
                   {reinterpret_cast<uint8_t*>(part.data()), part.size_bytes()});
        visit(first, part);
    }
}

std::optional<std::string> not_finite_text(const TensorEntry& entry, uint64_t first,
                                           std::span<const float> values) {
    const auto found =
        std::ranges::find_if(values, [](float value) { return !std::isfinite(value); });
    if (found == values.end()) return std::nullopt;
    const uint64_t index = first + static_cast<uint64_t>(found - values.begin());
    return concat("tensor ", quoted(entry.name), " holds ", std::isnan(*found) ? "NaN" : "infinity",
                  " at index ", index);
}

void check_stored_checksum(const ByteSource& input, const SafetensorsHeader& header,
                           uint64_t found) {
    const std::string* stored = header.find_metadata(kWeightsChecksumKey);
    if (stored == nullptr || *stored == checksum_text(found)) return;
    input.refuse(concat("the data are damaged: their checksum is ", checksum_text(found), ", but ",
                        quoted(*stored), " was written with them"),
                 "replace the file");
}

}  // namespace emulsion

// See index_rows.h.
#include "runtime/data/index_rows.h"

#include <zlib.h>

#include <cmath>
#include <cstring>
#include <utility>

#include "runtime/data/random.h"
#include "runtime/data/table.h"
#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

// Numbers of a CSV are read as floats, which hold whole ones up to here.
constexpr int64_t kMostOfCsv = int64_t{1} << 24;

}  // namespace

uint64_t IndexRows::count() const {
    const uint64_t elements = shape.elements();
    return elements > 0 ? numbers.size() / elements : 0;
}

void IndexRows::read(uint64_t index, const Normalizer&, float* row) const {
    static_assert(sizeof(int32_t) == sizeof(float));
    const uint64_t elements = shape.elements();
    std::memcpy(row, numbers.data() + index * elements, elements * sizeof(int32_t));
}

uint32_t IndexRows::checksum() const {
    const auto add = [](uLong sum, const std::vector<int32_t>& values) {
        return crc32_z(sum, reinterpret_cast<const Bytef*>(values.data()),
                       values.size() * sizeof(int32_t));
    };
    return static_cast<uint32_t>(add(add(0, numbers), labels));
}

std::unique_ptr<IndexRows> make_index_rows(const std::string& source, const DataRequest& request) {
    auto rows = std::make_unique<IndexRows>();
    rows->source = source;
    rows->shape = request.shape;
    rows->classes = request.classes;
    return rows;
}

std::string to_text(const IndexRange& range) {
    std::string known = concat("0 to ", range.limit - 1);
    if (range.ignored != 0) known += concat(", or ", range.ignored, " for none");
    return known;
}

void add_index(IndexRows& rows, int64_t number, const IndexRange& range) {
    if (range.contains(number)) {
        rows.numbers.push_back(static_cast<int32_t>(number));
        return;
    }
    const uint64_t elements = rows.shape.elements(), at = rows.numbers.size();
    throw RuntimeError(one_line(rows.source),
                       concat("row ", at / elements, " holds the index ", number, " at ",
                              at % elements, ", but the network knows ", to_text(range)),
                       "correct the row, or give the model a larger vocabulary");
}

std::unique_ptr<Source> read_index_csv(const std::string& path, const DataRequest& request) {
    if (request.indices.limit > kMostOfCsv) {
        throw RuntimeError(one_line(path),
                           concat("a CSV file holds indices below ", kMostOfCsv,
                                  ", but the network has ", request.indices.limit),
                           "save the rows with numpy.save, and give them with --images FILE.npy");
    }
    const auto read = read_csv(path, request);
    const auto& table = dynamic_cast<const Table&>(*read);
    auto rows = make_index_rows(table.source, request);
    rows->labels = table.labels;
    rows->scale = table.scale;
    rows->numbers.reserve(table.numbers.size());
    const uint64_t elements = request.shape.elements();
    for (float number : table.numbers) {
        if (number != std::floor(number) || std::fabs(number) > static_cast<float>(kMostOfCsv)) {
            throw RuntimeError(one_line(path),
                               concat("row ", rows->numbers.size() / elements, " holds ", number,
                                      ", which is no index"),
                               "give whole numbers, and no --scale");
        }
        add_index(*rows, static_cast<int64_t>(number), request.indices);
    }
    return rows;
}

// Half of a row's numbers are of the eight that its class has.
std::unique_ptr<Source> make_synthetic_indices(uint64_t count, Part part,
                                               const DataRequest& request) {
    auto rows = make_index_rows("synthetic", request);
    const uint32_t group = part == Part::train ? 0 : 1;
    const auto limit = static_cast<uint32_t>(request.indices.limit);
    const auto elements = static_cast<uint32_t>(request.shape.elements());
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t label = i % static_cast<uint32_t>(request.classes);
        if (request.target.kind == TargetKind::kLabel)
            rows->labels.push_back(static_cast<int32_t>(label));
        for (uint32_t place = 0; place < elements; place++) {
            const auto noise = philox({place, i, group, static_cast<uint32_t>(Stream::noise)}, 1);
            const auto own =
                philox({noise[1] % 8, label, 0, static_cast<uint32_t>(Stream::pattern)}, 1);
            const uint32_t number = noise[0] % 2 == 0 ? own[0] : noise[2];
            rows->numbers.push_back(static_cast<int32_t>(number % limit));
        }
    }
    return rows;
}

}  // namespace emulsion

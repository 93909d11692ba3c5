// Rows of indices: arrays of NumPy and CSV, for lines and for rows such as edge lists.
#include "runtime/data/index_rows.h"
#include "runtime/data/table.h"
#include "tests/fuzz/fuzz_support.h"

using namespace emulsion;

namespace {

DataRequest request_of(int rows, int length, IndexRange range) {
    DataRequest request;
    request.shape = {rows, 1, length};
    request.axes = rows == 1 ? std::vector<int64_t>{length} : std::vector<int64_t>{rows, length};
    request.indices = range;
    request.classes = 3;
    request.bytes = 1 << 20;
    return request;
}

void check(const Source& source, const DataRequest& request) {
    const auto& rows = dynamic_cast<const IndexRows&>(source);
    fuzz::require(rows.numbers.size() == rows.count() * request.shape.elements() &&
                      (rows.labels.empty() || rows.labels.size() == rows.count()),
                  "the rows have other numbers than their shape says");
    for (const int32_t number : rows.numbers)
        fuzz::require(request.indices.contains(number), "an index is none of the network's");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    for (const DataRequest& request : {request_of(1, 3, {5, 0}), request_of(2, 2, {300, -1})}) {
        const std::string path = fuzz::path_of({data, size});
        fuzz::read([&] {
            if (is_npy(path)) {
                check(*read_npy(path, "", request), request);
            } else {
                check(*read_index_csv(path, request), request);
            }
        });
    }
    return 0;
}

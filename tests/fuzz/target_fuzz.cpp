// What rows are trained towards: arrays of NumPy of maps and numbers, CSV with numbers, and lists
// of pictures with numbers or masks.
#include "runtime/data/masks.h"
#include "runtime/data/table.h"
#include "tests/fuzz/fuzz_support.h"

using namespace emulsion;

namespace {

DataRequest request_of(TargetForm target) {
    DataRequest request;
    request.shape = {1, 2, 2};
    request.target = target;
    request.classes = 4;
    request.bytes = 1 << 20;
    return request;
}

void read_array(const std::string& path, const DataRequest& request) {
    const TargetForm& target = request.target;
    const std::vector<int32_t> values = read_npy_targets(path, request);
    fuzz::require(values.size() % target.elements() == 0, "a row is cut");
    for (const int32_t value : values) {
        fuzz::require(target.kind != TargetKind::kMap || value == target.ignored ||
                          (value >= 0 && value < request.classes),
                      "a class is none of the network's");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const DataRequest map = request_of({TargetKind::kMap, {1, 2, 3}, 255});
    const DataRequest numbers = request_of({TargetKind::kNumbers, {2, 1, 1}});
    const DataRequest pictures = request_of({TargetKind::kNumbers, {3, 1, 2}});
    const std::string path = fuzz::path_of({data, size});
    if (is_npy(path)) {
        for (const DataRequest& request : {map, numbers, pictures})
            fuzz::read([&] { read_array(path, request); });
        return 0;
    }
    fuzz::read([&] {
        const auto table = read_csv(path, numbers);
        fuzz::require(table->targets.size() == table->count() * 2, "a row lacks its numbers");
    });
    fuzz::read([&] {
        const auto list = open_number_list(path, pictures);
        fuzz::require(list->targets.size() == list->count() * 6, "a picture lacks its numbers");
    });
    fuzz::read([&] { open_mask_list(path, map); });
    return 0;
}

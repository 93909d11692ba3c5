// Products of sizes that cannot overflow.
#include "compiler/graph/limits.h"

#include <fmt/format.h>

namespace emulsion {

int64_t bounded_elements(const TensorType& type, int64_t samples) {
    for (int64_t extent : type.shape) {
        if (extent > kMostElements) return -1;
    }
    int64_t elements = type.batched ? samples : 1;
    for (int64_t extent : memory_extents(type)) {
        if (extent > kMostElements / elements) return -1;
        elements *= extent;
    }
    return elements;
}

void check_size(const std::string& name, const TensorType& type, int64_t batch) {
    if (bounded_elements(type, batch) >= 0) return;
    const int64_t one = bounded_elements(type, 1);
    if (one < 0) {
        fail("size",
             fmt::format("'{}' of type {} has more than {} elements", name, to_string(type),
                         kMostElements),
             "use smaller layers or a smaller input");
    }
    fail("size",
         fmt::format("'{}' of type {} has {} elements in a batch of {}, more than {}", name,
                     to_string(type), one * batch, batch, kMostElements),
         fmt::format("use a smaller batch: at most {} samples", kMostElements / one));
}

}  // namespace emulsion

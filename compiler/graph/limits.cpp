// Products of sizes that cannot overflow.
#include "compiler/graph/limits.h"

#include <fmt/format.h>

#include <algorithm>

namespace emulsion {

namespace {

class CheckNumbers : public Fields {
  public:
    void field(std::string_view, bool&) override {}
    void field(std::string_view, double&) override {}
    void field(std::string_view, std::string&) override {}
    void field(std::string_view, std::vector<double>&) override {}
    void field(std::string_view name, int64_t& value) override { check(name, value); }
    void field(std::string_view name, std::vector<int64_t>& values) override {
        for (const int64_t value : values) check(name, value);
    }

  private:
    static void check(std::string_view name, int64_t value) {
        if (value >= -kMostNumber && value <= kMostNumber) return;
        fail("attribute",
             fmt::format("{} is {}, but must be {} to {}", name, value, -kMostNumber, kMostNumber),
             "choose a number of 32 bits");
    }
};

}  // namespace

int64_t bounded_product(std::span<const int64_t> factors) {
    int64_t product = 1;
    for (const int64_t factor : factors) {
        if (factor < 1 || factor > kMostElements / product) return -1;
        product *= factor;
    }
    return product;
}

int64_t bounded_elements(const TensorType& type, int64_t samples) {
    for (const int64_t extent : type.shape) {
        if (extent < 1 || extent > kMostElements) return -1;
    }
    std::vector<int64_t> extents = memory_extents(type);
    if (type.batched) extents.push_back(samples);
    return bounded_product(extents);
}

void check_attributes(const Op& op) {
    CheckNumbers check;
    const_cast<Op&>(op).fields(check);  // the visitor only reads
}

void check_factors(const std::string& name, const TensorType& type) {
    if (type.factors.empty()) return;
    const size_t axis = type.batched ? 0 : 1;
    if (type.factors.size() == 3 && axis < type.shape.size() &&
        bounded_product(type.factors) == type.shape[axis])
        return;
    fail("factors",
         fmt::format("'{}' of type {} has factors that do not make up its axis of features", name,
                     to_string(type)),
         "write {channels,height,width} of the map, whose product is the number of features");
}

void check_size(const std::string& name, const TensorType& type, int64_t batch) {
    if (bounded_elements(type, batch) >= 0) return;
    if (std::ranges::any_of(type.shape, [](int64_t extent) { return extent < 1; })) {
        fail("size", fmt::format("'{}' of type {} has an extent below 1", name, to_string(type)),
             "give every axis 1 or more");
    }
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

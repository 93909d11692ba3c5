// See source.h.
#include "runtime/data/source.h"

#include <algorithm>

#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

void Source::read_target(uint64_t index, int32_t* target_row) const {
    if (targets.empty()) {
        *target_row = index < labels.size() ? labels[index] : 0;
        return;
    }
    const uint64_t elements = target.elements();
    std::copy_n(targets.begin() + static_cast<ptrdiff_t>(index * elements), elements, target_row);
}

void Source::read_extra(uint64_t index, size_t input, int32_t* values) const {
    const uint64_t elements = extras[input].elements();
    std::copy_n(extra_values[input].begin() + static_cast<ptrdiff_t>(index * elements), elements,
                values);
}

std::string Source::name_of(uint64_t index) const { return concat(index); }

Picture Source::picture_at(uint64_t) const {
    throw RuntimeError(one_line(source), "holds numbers, which are no pictures",
                       "give data of pictures");
}

}  // namespace emulsion

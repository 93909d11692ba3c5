// See source.h.
#include "runtime/data/source.h"

#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

std::string Source::name_of(uint64_t index) const { return concat(index); }

Picture Source::picture_at(uint64_t) const {
    throw RuntimeError(one_line(source), "holds numbers, which are no pictures",
                       "give data of pictures");
}

}  // namespace emulsion

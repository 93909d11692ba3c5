// What op the anchor of a group is.
#pragma once

#include "compiler/recipe/group.h"

namespace emulsion {

// The anchor's op where it is a T, else null.
template <class T>
const T* anchor_as(const Group& group) {
    return group.anchor < 0 ? nullptr : group.body.op_as<T>(group.anchor);
}

}  // namespace emulsion

// The schedule of a Func whose elements are independent of each other: the simple recipes share it.
//
//     parallel task                  a fixed number of elements, so small tensors are one task and
//     large ones many
//       outer coordinates
//         strips of vectors          unrolled: side by side along the same axis, or along the next
//                                    one where a row is one vector
//           vectors of 16            along the innermost axis with more than one element; tails are
//                                    guarded
//
// Nothing is computed twice, so a result may take the memory of an operand that is read at the same
// position only.
#pragma once

#include <Halide.h>

#include <set>
#include <string>
#include <vector>

#include "compiler/recipe/recipe.h"

namespace emulsion {

inline constexpr int kLanes = 16;  // f32 of one logical vector, on every instruction set

struct MapOptions {
    bool fuse_rows = false;  // no operand depends on the channel alone: c and x may be one axis
    int task_elements = 16384;
    int strip = 1;  // vectors side by side
};

// The fields of the tilings of a recipe whose results are scheduled so: `task`, elements of a task,
// and `strip`, as many vectors as there are side by side and have registers.
TilingSpace map_space(const Group& group, const Isa& isa, bool fuse_rows = false);
MapOptions map_options(const Tiling& tiling, bool fuse_rows = false);

// The loops of a Func. `around` are those around the vectors, innermost first, with the coordinates
// that each walks along; `inner` is the first of them, `vector` the coordinate that is vectorized.
// All are empty where the Func has no coordinates.
struct MapLoops {
    struct Loop {
        std::string name;
        std::set<std::string> axes;
    };
    std::vector<Loop> around;
    std::string inner, vector;
    bool is_parallel = false;
};

// Schedules `func`, over memory coordinates of `type`, for at most `batch` samples.
MapLoops schedule_map(Halide::Func func, const TensorType& type, int batch,
                      const MapOptions& options = {});

// Vectorizes all stages of a helper along its first coordinate; `extent` is the most elements along
// it.
void vectorize_first(Halide::Func func, int extent);

// Whether every element of the group's results reads its operands at its own position or at no
// position at all.
bool reads_own_position(const Group& group);

// The most elements of a result, for the whole batch.
int64_t element_limit(const TensorType& type, int batch);

}  // namespace emulsion

// What the lowered code of a kernel says: its slab need, and whether it keeps the rules of shipped
// kernels.
#pragma once

#include <Halide.h>

#include <cstdint>

namespace emulsion {

struct SlabNeed {
    int64_t calling_thread =
        0;  // emulsion_slab_bytes_of summed along the deepest nest, loops and serial code
    int64_t other_workers = 0;  // the same inside parallel loops alone
};

// Walks the module. Throws Error[storage] for an allocation whose size is not a constant, and
// Error[nested_parallel] for a parallel loop inside another.
SlabNeed inspect_module(const Halide::Module& module);

}  // namespace emulsion

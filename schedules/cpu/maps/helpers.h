// Where the Funcs go that a map is computed from.
#pragma once

#include <Halide.h>

#include <vector>

#include "schedules/cpu/maps/map.h"

namespace emulsion {

struct HelperOptions {
    int batch = 1;
    bool parallel = false;  // what is computed in front of everything else is worth several threads
};

// Computes helpers with update definitions, and what is drawn for each channel, vectors along their
// innermost coordinate: inside the innermost loop of the first output where nothing is computed
// twice, or else in front of everything else. `loops` are those of the first output, of type
// `type`.
void compute_helpers(const std::vector<Halide::Func>& outputs, const MapLoops& loops,
                     const TensorType& type, const HelperOptions& options);

// Computes `operand`, a map of type `type`, once for each sample of `out`, whose loops are `loops`,
// or once in all where it has no samples. Does nothing where the loops of `out` walk no samples.
void stage_operand(Halide::Func operand, const TensorType& type, const Halide::Func& out,
                   const MapLoops& loops);

}  // namespace emulsion

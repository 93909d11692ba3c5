// The exponential moving average of a run's weights, a <- a + (1 - decay) (w - a) after each step:
// Polyak and Juditsky 1992, with the decay of Kingma and Ba's section 7.2.
//
// It is of everything that a weights file holds, running statistics included, and begins with the
// weights after the first step. The arithmetic is that of single floats, in one thread, element by
// element: bits depend on the steps alone. It is kept on the processor.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/abi/emulsion_abi.h"
#include "runtime/program/memory.h"

namespace emulsion {

class WeightAverage {
  public:
    // Of the tensors of `info` that `names` lists, too. `memory` is that of the training, laid out
    // as `sizes` say. Takes as much of parameters again, and the statistics'; all zero at first.
    WeightAverage(double decay, const emulsion_info& info, const emulsion_info& names,
                  const emulsion_sizes& sizes, const emulsion_memory& memory);

    // After step `step`, counted from 1.
    void update(uint64_t step);

    // The averages, where the training's memory has the weights; what else is there means nothing.
    const emulsion_memory& memory() const { return blocks_.memory(); }
    // The same as what a checkpoint keeps of it.
    std::vector<std::span<uint8_t>> parts() const;

  private:
    const float rest_;  // 1 - decay
    const std::vector<const emulsion_tensor*> tensors_;
    const emulsion_memory& weights_;
    MemoryBlocks blocks_;
};

}  // namespace emulsion

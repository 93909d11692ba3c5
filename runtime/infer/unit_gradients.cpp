// See unit_gradients.h.
#include "runtime/infer/unit_gradients.h"

#include <cstring>

#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

const emulsion_infer_library& required(const emulsion_infer_library* saliency,
                                       const InferOptions& options, const char* mode) {
    if (saliency != nullptr) return *saliency;
    throw UsageError(mode,
                     concat(options.program, " was built without the gradients that it needs"),
                     "build it again with emulsion build --saliency");
}

uint64_t values_of(const emulsion_port& port) { return port.bytes / sizeof(float); }

}  // namespace

UnitGradients::UnitGradients(const emulsion_infer_library* saliency,
                             const InferenceSession& session, const InferOptions& options,
                             const char* mode, const std::string& rule)
    : network_(session.info()),
      shape_(session.shape()),
      bound_(required(saliency, options, mode),
             {options.threads, options.variant, options.device}) {
    const emulsion_info& info = bound_.info();
    copy_tensors(network_, session.memory(), info, bound_.memory());
    bound_.prepare();
    for (int i = 0; i < info.output_count; i++)
        if (rule == info.outputs[i].name) result_ = i;
    for (int i = 1; i < info.input_count; i++)
        seeds_.push_back(
            allocate_aligned(info.inputs[i].bytes * static_cast<uint64_t>(info.batch)));
}

int UnitGradients::seed_of(int output) const {
    const std::string name = concat(network_.outputs[output].name, ".seed");
    const emulsion_info& info = bound_.info();
    for (int i = 1; i < info.input_count; i++)
        if (name == info.inputs[i].name) return i;
    return -1;
}

void UnitGradients::run(const float* images, std::span<const Unit> units) {
    const emulsion_info& info = bound_.info();
    std::vector<const void*> inputs = {images};
    for (size_t i = 0; i < seeds_.size(); i++) {
        const emulsion_port& port = info.inputs[i + 1];
        std::memset(seeds_[i].get(), 0, port.bytes * units.size());
        inputs.push_back(seeds_[i].get());
    }
    for (size_t sample = 0; sample < units.size(); sample++) {
        const Unit& unit = units[sample];
        const int seed = seed_of(unit.output);
        if (seed < 0) {
            throw RuntimeError(network_.network,
                               concat("the output ", quoted(network_.outputs[unit.output].name),
                                      " has no gradient with respect to the picture"),
                               "name another output");
        }
        auto* values = static_cast<float*>(seeds_[static_cast<size_t>(seed) - 1].get());
        values[sample * values_of(info.inputs[seed]) + unit.place] = 1.0f;
    }
    bound_.run(inputs.data(), static_cast<int>(units.size()));
}

}  // namespace emulsion

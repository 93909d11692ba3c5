// The text form of a plan: what a person reads to see which kernels run, on which bytes, and why.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "compiler/plan/choices_text.h"
#include "compiler/plan/plan.h"

namespace emulsion {

namespace {

std::string print_tensors(const Plan& plan) {
    std::string text;
    for (const PlannedTensor& tensor : plan.tensors) {
        text += fmt::format("  {} {} {} at {}, {} bytes", to_string(tensor.memory), tensor.name,
                            to_string(tensor.type), tensor.offset, tensor.bytes);
        if (tensor.trained && !plan.update_at_once)
            text += fmt::format(", gradient at {}", tensor.gradient_offset);
        text += fmt::format(", {} {}\n", tensor.init, tensor.init_value);
    }
    return text;
}

std::string print_call(const VariantPlan& variant, const PlannedCall& call) {
    const PlannedKernel& kernel = variant.kernels[static_cast<size_t>(call.kernel)];
    std::string text = fmt::format("    {} {} = k{} {} [{}]", to_string(call.stage), call.name,
                                   call.kernel, kernel.recipe, to_string(kernel.tiling));
    std::vector<std::string> names;
    for (int buffer : call.buffers) names.push_back(fmt::format("b{}", buffer));
    for (const std::string& scalar : call.scalars) names.push_back(scalar);
    for (int buffer : call.scratch) names.push_back(fmt::format("scratch b{}", buffer));
    return text + fmt::format(" ({})  # {}\n", fmt::join(names, ", "), call.reason);
}

std::vector<std::string> slow_kernels_of(const VariantPlan& variant) {
    std::vector<std::string> sentences;
    std::set<int> named;
    for (const BatchPlan& batch : variant.batches) {
        for (const PlannedCall& call : batch.calls) {
            const PlannedKernel& kernel = variant.kernels[static_cast<size_t>(call.kernel)];
            if (!kernel.is_last_resort || !named.insert(call.kernel).second) continue;
            sentences.push_back(fmt::format(
                "{} '{}' is slow{}: no recipe is made for it, so it runs '{}'",
                to_string(call.stage), call.name,
                variant.isa.is_device() ? " on " + variant.isa.name : "", kernel.recipe));
        }
    }
    return sentences;
}

std::string print_variant(const VariantPlan& variant) {
    std::string text = fmt::format(
        "  variant {}: workspace {} bytes, {:.3f} times the largest live set of {}, "
        "prepared {} bytes\n",
        variant.isa.name, variant.activation_bytes,
        static_cast<double>(variant.activation_bytes) /
            static_cast<double>(std::max<int64_t>(1, variant.largest_live_bytes)),
        variant.largest_live_bytes, variant.prepared_bytes);
    for (size_t i = 0; i < variant.buffers.size(); i++) {
        const PlannedBuffer& buffer = variant.buffers[i];
        const std::string type = buffer.extents.empty()
                                     ? to_string(buffer.type)
                                     : fmt::format("scratch[{}]", fmt::join(buffer.extents, ","));
        text += fmt::format("    b{} {} {} {} at {}, {} bytes", i, buffer.name, type,
                            to_string(buffer.memory), buffer.offset, buffer.bytes);
        text += buffer.pitch == 0 ? "\n" : fmt::format(" among {} channels\n", buffer.pitch);
    }
    for (size_t i = 0; i < variant.kernels.size(); i++) {
        const PlannedKernel& kernel = variant.kernels[i];
        text += fmt::format("    k{} {}", i, kernel.identity(variant.isa));
        if (!kernel.record.empty()) text += "  # by the record " + kernel.record;
        if (kernel.relative_error > 0) {
            text +=
                fmt::format("  # differs from double precision by at most {} of the largest value",
                            kernel.relative_error);
        }
        text += "\n";
    }
    for (const BatchPlan& batch : variant.batches) {
        text += fmt::format("   batch {}: {} kernel calls\n", batch.batch, batch.calls.size());
        for (const PlannedCall& call : batch.calls) text += print_call(variant, call);
    }
    for (const std::string& sentence : slow_kernels_of(variant))
        text += "    note: " + sentence + "\n";
    if (!variant.budget.empty()) text += "    # " + variant.budget + "\n";
    for (const std::string& note : variant.notes) text += "    # " + note + "\n";
    return text;
}

}  // namespace

std::vector<std::string> slow_kernels(const Plan& plan) {
    std::vector<std::string> sentences;
    for (const VariantPlan& variant : plan.variants) {
        for (const std::string& sentence : slow_kernels_of(variant)) {
            if (std::find(sentences.begin(), sentences.end(), sentence) == sentences.end())
                sentences.push_back(sentence);
        }
    }
    return sentences;
}

std::string print_choices(const Plan& plan) {
    std::string text =
        fmt::format("choices {} {}\n", plan.network, plan.training ? "training" : "inference");
    for (const NodeChoice& choice : plan.choices) {
        text += fmt::format("  {} {}", choice.name, choice.word);
        if (!choice.others.empty()) text += fmt::format(", or {}", fmt::join(choice.others, ", "));
        if (!choice.record.empty()) text += ", by the record " + choice.record;
        text += fmt::format("\n    node={}\n", choice.node);
    }
    for (const std::string& sentence : plan.left_out) text += "  # " + sentence + "\n";
    return text;
}

std::string print(const Plan& plan) {
    std::string text = fmt::format("plan {} {}{} parameters {} gradients {} state {} bytes\n",
                                   plan.network, plan.training ? "training" : "inference",
                                   plan.update_at_once ? " update=at-once" : "",
                                   plan.parameter_bytes, plan.gradient_bytes, plan.state_bytes);
    text += fmt::format("  machine {}\n", to_string(plan.machine));
    for (const PlannedPort& port : plan.inputs)
        text += fmt::format("  input {} {}\n", port.name, to_string(port.type));
    for (const PlannedPort& port : plan.outputs) {
        text += fmt::format("  output {} {}\n", port.name, to_string(port.type));
    }
    text += print_tensors(plan);
    for (const NodeChoice& choice : plan.choices) {
        if (choice.record.empty()) continue;
        text += fmt::format("  choice {} {}  # by the record {}\n", choice.name, choice.word,
                            choice.record);
    }
    for (const std::string& sentence : plan.left_out) text += "  # " + sentence + "\n";
    for (const VariantPlan& variant : plan.variants) text += print_variant(variant);
    return text;
}

}  // namespace emulsion

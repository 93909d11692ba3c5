// See guarded_support.h.
#include "tests/integration/guarded_support.h"

#include <fmt/format.h>

#include <cstring>
#include <stdexcept>

namespace emulsion::test {

namespace {

void expect_ok(int status, const char* what, const char* error) {
    if (status != EMULSION_OK)
        throw std::runtime_error(fmt::format("{} returns {}: {}", what, status, error));
}

}  // namespace

void GuardedInstance::allocate(const emulsion_sizes& sizes) {
    memory_.sizes = sizes;
    for (int i = 0; i < EMULSION_CLASSES; i++) {
        blocks_.push_back(std::make_unique<GuardedBlock>(sizes.bytes[i], edge_));
        memory_.block[i] = blocks_.back()->data();
    }
}

void GuardedInstance::fill(const reference::Sources& sources) {
    for (int i = 0; i < info_.tensor_count; i++) {
        const emulsion_tensor& tensor = info_.tensors[i];
        const auto found = sources.find(tensor.name);
        if (found == sources.end()) continue;
        const std::vector<std::byte> bytes = reference::pack(found->second);
        if (bytes.size() != tensor.bytes)
            throw std::runtime_error(fmt::format("{} has {} bytes, but needs {}", tensor.name,
                                                 tensor.bytes, bytes.size()));
        std::byte* block = blocks_[static_cast<size_t>(tensor.memory_class)]->data();
        std::memcpy(block + tensor.offset, bytes.data(), bytes.size());
    }
}

const emulsion_call* GuardedInstance::call(const reference::Sources& sources, int samples) {
    inputs_.clear();
    outputs_.clear();
    input_pointers_.clear();
    output_pointers_.clear();
    for (int i = 0; i < info_.input_count; i++) {
        const std::vector<std::byte> bytes = reference::pack(sources.at(info_.inputs[i].name));
        inputs_.push_back(std::make_unique<GuardedBlock>(bytes.size(), edge_));
        std::memcpy(inputs_.back()->data(), bytes.data(), bytes.size());
        input_pointers_.push_back(inputs_.back()->data());
    }
    for (int i = 0; i < info_.output_count; i++) {
        const emulsion_port& port = info_.outputs[i];
        const size_t count = port.batched ? static_cast<size_t>(samples) : 1;
        outputs_.push_back(std::make_unique<GuardedBlock>(port.bytes * count, edge_));
        output_pointers_.push_back(outputs_.back()->data());
    }
    call_ = {};
    call_.samples = samples;
    call_.inputs = input_pointers_.data();
    call_.outputs = output_pointers_.data();
    return &call_;
}

void GuardedInstance::add_outputs(RawResults& results, int samples) const {
    for (int i = 0; i < info_.output_count; i++) {
        const emulsion_port& port = info_.outputs[i];
        const size_t bytes = port.bytes * (port.batched ? static_cast<size_t>(samples) : 1);
        const std::byte* data = outputs_[static_cast<size_t>(i)]->data();
        results[fmt::format("output {}", port.name)] = {data, data + bytes};
    }
}

void GuardedInstance::add_tensors(RawResults& results, const std::string& prefix,
                                  bool is_gradient) const {
    for (int i = 0; i < info_.tensor_count; i++) {
        const emulsion_tensor& tensor = info_.tensors[i];
        if (is_gradient && !tensor.trained) continue;
        const int which = is_gradient ? int{EMULSION_GRADIENTS} : tensor.memory_class;
        const std::byte* data = blocks_[static_cast<size_t>(which)]->data() +
                                (is_gradient ? tensor.gradient_offset : tensor.offset);
        results[prefix + tensor.name] = {data, data + tensor.bytes};
    }
}

void GuardedInstance::expect_intact() const {
    for (const auto* blocks : {&blocks_, &inputs_, &outputs_}) {
        for (size_t i = 0; i < blocks->size(); i++) {
            if (!(*blocks)[i]->is_pattern_intact())
                throw std::runtime_error(fmt::format("something was written beside block {}", i));
        }
    }
}

GuardedTrainer::GuardedTrainer(const emulsion_train_library& library, int threads, int variant,
                               Edge edge, const reference::Sources& sources)
    : GuardedInstance(*library.info(), edge), library_(library) {
    emulsion_sizes sizes{};
    expect_ok(library.sizes(threads, &sizes), "sizes", "");
    allocate(sizes);
    expect_ok(library.init(7, &memory_), "init", "");
    fill(sources);
    const emulsion_options options = options_of(threads, variant);
    expect_ok(library.bind(instance(), &memory_, &options), "bind", library.error(instance()));
}

GuardedTrainer::~GuardedTrainer() { library_.unbind(instance()); }

RawResults GuardedTrainer::step(const reference::Sources& sources, int samples,
                                float learning_rate) {
    RawResults results;
    const emulsion_call* arguments = call(sources, samples);
    if (library_.forward_backward != nullptr) {
        expect_ok(library_.forward_backward(instance(), arguments), "forward_backward",
                  library_.error(instance()));
        add_tensors(results, "gradient ", true);
        expect_ok(library_.update(instance(), learning_rate), "update", library_.error(instance()));
    } else {
        expect_ok(library_.step(instance(), arguments, learning_rate), "step",
                  library_.error(instance()));
    }
    add_outputs(results, samples);
    add_tensors(results, "update ", false);
    expect_intact();
    return results;
}

GuardedRunner::GuardedRunner(const emulsion_infer_library& library, int threads, int variant,
                             Edge edge, const reference::Sources& sources)
    : GuardedInstance(*library.info(), edge), library_(library) {
    emulsion_sizes sizes{};
    expect_ok(library.sizes(threads, &sizes), "sizes", "");
    allocate(sizes);
    fill(sources);
    const emulsion_options options = options_of(threads, variant);
    expect_ok(library.bind(instance(), &memory_, &options), "bind", library.error(instance()));
    expect_ok(library.prepare(instance()), "prepare", library.error(instance()));
}

GuardedRunner::~GuardedRunner() { library_.unbind(instance()); }

RawResults GuardedRunner::run(const reference::Sources& sources, int samples) {
    RawResults results;
    expect_ok(library_.run(instance(), call(sources, samples)), "run", library_.error(instance()));
    add_outputs(results, samples);
    expect_intact();
    return results;
}

}  // namespace emulsion::test

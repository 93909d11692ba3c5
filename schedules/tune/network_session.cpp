// See network_session.h.
#include "schedules/tune/network_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <random>
#include <stdexcept>

#include "compiler/graph/layout.h"

namespace emulsion {

namespace {

size_t port_bytes(const emulsion_info& info, const emulsion_port& port) {
    return port.bytes * static_cast<size_t>(port.batched != 0 ? info.batch : 1);
}

// Class indices below their limit, bytes, or numbers in (-1, 1).
void fill_port(const emulsion_port& port, const GuardedBlock& block, std::mt19937_64& random) {
    if (port.type == EMULSION_U8) {
        auto* values = static_cast<uint8_t*>(block.data());
        for (size_t i = 0; i < block.bytes(); i++) values[i] = static_cast<uint8_t>(random());
    } else if (port.type == EMULSION_I32) {
        auto* values = static_cast<int32_t*>(block.data());
        const auto limit = static_cast<uint64_t>(std::max(port.classes, 1));
        for (size_t i = 0; i < block.bytes() / 4; i++)
            values[i] = static_cast<int32_t>(random() % limit);
    } else if (port.distribution != 0) {
        auto* values = static_cast<float*>(block.data());
        std::fill_n(values, block.bytes() / 4, 1.0f / static_cast<float>(port.shape[0]));
    } else {
        auto* values = static_cast<float*>(block.data());
        std::uniform_real_distribution<float> number(-1, 1);
        for (size_t i = 0; i < block.bytes() / 4; i++) values[i] = number(random);
    }
}

// Weights such that a layer's outputs are of the size of its inputs; 0.5 for what there is one of
// for each channel, such as variances. Lanes that only fill a block stay zero.
void fill_tensor(const emulsion_tensor& tensor, void* memory, std::mt19937_64& random) {
    auto* values = reinterpret_cast<float*>(static_cast<char*>(memory) + tensor.offset);
    const size_t count = tensor.bytes / 4;
    std::memset(values, 0, tensor.bytes);
    if (tensor.type != EMULSION_F32) return;
    const size_t first = tensor.rank > 0 ? static_cast<size_t>(tensor.shape[0]) : 1;
    double inputs = 1;
    for (int i = 1; i < tensor.rank; i++) inputs *= static_cast<double>(tensor.shape[i]);
    const auto limit = static_cast<float>(std::sqrt(3 / inputs));
    std::uniform_real_distribution<float> number(-limit, limit);
    const auto lanes = static_cast<size_t>(kBlock);
    const size_t blocks = (first + lanes - 1) / lanes, per_block = count / blocks;
    for (size_t i = 0; i < count; i++) {
        if (tensor.rank > 0 && i / per_block * lanes + i % lanes >= first) continue;
        values[i] = tensor.rank > 1 ? number(random) : 0.5f;
    }
}

}  // namespace

template <class F>
F* NetworkSession::function(const Library& library, const char* what) const {
    F* found = library.object->function<F>(name_ + "_" + what);
    if (found == nullptr) throw std::runtime_error(fmt::format("{} lacks {}", name_, what));
    return found;
}

void NetworkSession::check(const Library& library, int status) const {
    if (status == EMULSION_OK) return;
    const char* words =
        function<const char*(const void*)>(library, "error")(library.instance.data());
    throw std::runtime_error(fmt::format("{} fails: {}", name_, words));
}

NetworkSession::NetworkSession(const std::vector<std::string>& objects, const std::string& name,
                               bool training, int threads)
    : name_(name), training_(training) {
    for (const std::string& object : objects) {
        auto loaded = std::make_unique<LoadedObject>(object);
        emulsion_sizes sizes{};
        const auto* info = loaded->function<const emulsion_info*()>(name + "_info")();
        loaded->function<int(int, emulsion_sizes*)>(name + "_sizes")(threads, &sizes);
        libraries_.push_back({std::move(loaded), info, sizes,
                              GuardedBlock(sizes.bytes[EMULSION_INSTANCE]),
                              GuardedBlock(sizes.bytes[EMULSION_PREPARED]),
                              std::vector<double>(static_cast<size_t>(info->kernel_count))});
    }
    make_memory();
    fill_ports();
    for (Library& library : libraries_) bind(library, threads);
}

// One memory for all: tensors have one layout, and all else is written anew by each call.
void NetworkSession::make_memory() {
    for (int i = 0; i < EMULSION_CLASSES; i++) {
        uint64_t bytes = 0;
        for (const Library& library : libraries_) bytes = std::max(bytes, library.sizes.bytes[i]);
        const bool is_own = i == EMULSION_INSTANCE || i == EMULSION_PREPARED;
        classes_.emplace_back(is_own ? 0 : bytes);
    }
}

void NetworkSession::fill_ports() {
    std::mt19937_64 random(1);
    const emulsion_info& info = *libraries_[0].info;
    for (int i = 0; i < info.input_count; i++) {
        inputs_.emplace_back(port_bytes(info, info.inputs[i]));
        fill_port(info.inputs[i], inputs_.back(), random);
    }
    for (int i = 0; i < info.output_count; i++)
        outputs_.emplace_back(port_bytes(info, info.outputs[i]));
    for (const GuardedBlock& block : inputs_) input_pointers_.push_back(block.data());
    for (const GuardedBlock& block : outputs_) output_pointers_.push_back(block.data());
    for (int i = 0; !training_ && i < info.tensor_count; i++) {
        const emulsion_tensor& tensor = info.tensors[i];
        fill_tensor(tensor, classes_[static_cast<size_t>(tensor.memory_class)].data(), random);
    }
}

void NetworkSession::bind(Library& library, int threads) {
    emulsion_memory memory{};
    memory.sizes = library.sizes;
    for (size_t i = 0; i < EMULSION_CLASSES; i++) memory.block[i] = classes_[i].data();
    memory.block[EMULSION_PREPARED] = library.prepared.data();
    memory.block[EMULSION_INSTANCE] = library.instance.data();
    if (training_ && &library == libraries_.data())
        check(library,
              function<int(uint64_t, const emulsion_memory*)>(library, "init")(1, &memory));
    emulsion_options options{};
    options.threads = threads;
    options.profile_self = library.kernels.data();
    options.profile = [](void* self, int kernel, double seconds) {
        static_cast<double*>(self)[kernel] += seconds;
    };
    const auto bind =
        function<int(void*, const emulsion_memory*, const emulsion_options*)>(library, "bind");
    check(library, bind(library.instance.data(), &memory, &options));
    if (!training_)
        check(library, function<int(void*)>(library, "prepare")(library.instance.data()));
}

NetworkSession::~NetworkSession() {
    for (const Library& library : libraries_) {
        if (int (*unbind)(void*) = library.object->function<int(void*)>(name_ + "_unbind"))
            unbind(library.instance.data());
    }
}

NetworkSession::Call NetworkSession::run(size_t k, int count) {
    Library& library = libraries_[k];
    void* instance = library.instance.data();
    const emulsion_call call{library.info->batch, 0, input_pointers_.data(),
                             output_pointers_.data()};
    std::fill(library.kernels.begin(), library.kernels.end(), 0.0);
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < count; i++) {
        check(library, training_ ? function<int(void*, const emulsion_call*, float)>(
                                       library, "step")(instance, &call, 0.0f)
                                 : function<int(void*, const emulsion_call*)>(library, "run")(
                                       instance, &call));
    }
    const std::chrono::duration<double> span = std::chrono::steady_clock::now() - begin;
    Call result{span.count() / count, library.kernels};
    for (double& seconds : result.kernels) seconds /= count;
    return result;
}

}  // namespace emulsion

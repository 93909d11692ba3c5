// See kernel_session.h.
#include "schedules/tune/kernel_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <stdexcept>

#include "compiler/graph/layout.h"
#include "compiler/ops/sources.h"
#include "compiler/support/interrupts.h"

namespace emulsion {

namespace {

bool is_buffer(const Node& node) { return dynamic_cast<const Input*>(node.op.get()) != nullptr; }
bool is_scalar(const Node& node) { return dynamic_cast<const Scalar*>(node.op.get()) != nullptr; }

// ---- Values ----

// A generator that is fast enough for gigabytes (xorshift64*).
class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15u + 1) {}
    uint64_t next() {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return state_ * 0x2545F4914F6CDD1Du;
    }
    float between(float low, float high) {
        return low + (high - low) * static_cast<float>(next() >> 40) * 0x1p-24f;
    }

  private:
    uint64_t state_;
};

// The limit of the indices that a source holds for the nodes that read it; 0: it holds values.
int64_t index_limit(const Graph& body, int source) {
    int64_t limit = 0;
    for (const Node& node : body.nodes()) {
        std::vector<TensorType> types;
        for (Value value : node.inputs) types.push_back(body.type(value));
        for (size_t i = 0; i < node.inputs.size(); i++) {
            if (node.inputs[i].node != source) continue;
            const int64_t own = node.op->index_limit(i, types);
            if (own > 0) limit = limit == 0 ? own : std::min(limit, own);
        }
    }
    return limit;
}

// Lanes of the last block of a plain tensor's first axis that hold no value are zero.
void clear_padding(const TensorType& type, float* values, size_t count) {
    if (type.batched || type.shape.empty()) return;
    const int64_t used = type.shape[0] % kBlock;
    if (used == 0) return;
    const size_t per_block = count / static_cast<size_t>((type.shape[0] + kBlock - 1) / kBlock);
    for (size_t i = count - per_block; i < count; i++) {
        if (i % static_cast<size_t>(kBlock) >= static_cast<size_t>(used)) values[i] = 0;
    }
}

// Sets values[i] to next(), for gigabytes of them: a signal is met after each part.
template <class T, class Next>
void set_values(T* values, size_t count, const Next& next) {
    constexpr size_t kPart = size_t{1} << 24;
    for (size_t begin = 0; begin < count; begin += kPart) {
        check_interrupts();
        const size_t end = std::min(count, begin + kPart);
        for (size_t i = begin; i < end; i++) values[i] = static_cast<T>(next());
    }
}

void fill(const GuardedBlock& block, const TensorType& type, int64_t limit, Random& random) {
    if (type.element == ElementType::u8) {
        const auto range = static_cast<uint64_t>(std::clamp<int64_t>(limit, 1, 255));
        set_values(static_cast<uint8_t*>(block.data()), block.bytes(),
                   [&] { return random.next() % range; });
        return;
    }
    const size_t count = block.bytes() / 4;
    if (type.element == ElementType::i32) {
        const auto range = static_cast<uint64_t>(std::max<int64_t>(limit, 1));
        set_values(static_cast<int32_t*>(block.data()), count,
                   [&] { return random.next() % range; });
        return;
    }
    auto* values = static_cast<float*>(block.data());
    const bool is_positive = !type.batched && type.shape.size() <= 1;
    const float low = is_positive ? 0.1f : -1.0f, high = is_positive ? 0.9f : 1.0f;
    set_values(values, count, [&] { return random.between(low, high); });
    clear_padding(type, values, count);
}

}  // namespace

OperandValues::OperandValues(const Group& group, int64_t samples, uint64_t seed)
    : samples_(samples) {
    Random random(seed);
    for (int i = 0; i < static_cast<int>(group.body.nodes().size()); i++) {
        const Node& node = group.body.node(i);
        const TensorType& type = node.types[0];
        if (is_scalar(node)) {
            if (type.element == ElementType::f32) {
                numbers_.push_back(random.between(0.1f, 0.9f));
            } else {
                integers_.push_back(random.next() % 100);
            }
        }
        if (!is_buffer(node)) continue;
        const int64_t pitch = group.pitch_of(blocks_.size());
        blocks_.emplace_back(static_cast<size_t>(span_bytes(type, samples, pitch)));
        fill(blocks_.back(), type, index_limit(group.body, i), random);
    }
}

KernelArguments OperandValues::arguments() const {
    KernelArguments arguments{{}, integers_, numbers_};
    for (const GuardedBlock& block : blocks_) arguments.buffers.push_back(block.data());
    return arguments;
}

std::vector<GuardedBlock> result_blocks(const Group& group, int64_t samples,
                                        GuardedBlock::Sharing sharing) {
    std::vector<GuardedBlock> blocks;
    const std::vector<TensorType> types = group.buffer_types();
    for (size_t i = types.size() - group.body.results().size(); i < types.size(); i++) {
        const int64_t bytes = span_bytes(types[i], samples, group.pitch_of(i));
        blocks.emplace_back(static_cast<size_t>(bytes), sharing);
    }
    return blocks;
}

KernelArguments with_results(KernelArguments arguments, const std::vector<GuardedBlock>& results) {
    for (const GuardedBlock& block : results) arguments.buffers.push_back(block.data());
    return arguments;
}

RotatingTensors::RotatingTensors(const Group& group, const OperandValues& values, int64_t bytes) {
    constexpr int64_t kMostCopies = 4096;
    const std::vector<TensorType> types = group.buffer_types();
    int64_t own = 0;
    for (size_t i = 0; i < types.size(); i++)
        own += span_bytes(types[i], values.samples(), group.pitch_of(i));
    const auto count = static_cast<size_t>(
        std::clamp<int64_t>((bytes + own - 1) / std::max<int64_t>(own, 1), 1, kMostCopies));
    const KernelArguments arguments = values.arguments();
    copies_.assign(count, {{}, arguments.integers, arguments.numbers});
    for (size_t i = 0; i < types.size(); i++) {
        check_interrupts();
        const auto size =
            static_cast<size_t>(span_bytes(types[i], values.samples(), group.pitch_of(i)));
        const size_t pitch = (size + 63) / 64 * 64;
        blocks_.emplace_back(pitch * (count - 1) + size);
        auto* place = static_cast<std::byte*>(blocks_.back().data());
        for (KernelArguments& copy : copies_) {
            if (i < arguments.buffers.size()) std::memcpy(place, arguments.buffers[i], size);
            copy.buffers.push_back(place);
            place += pitch;
        }
    }
}

// ---- Sessions ----

namespace {

std::vector<emulsion_dimension> shape_of(const std::vector<Dimension>& dimensions) {
    std::vector<emulsion_dimension> shape;
    for (const auto& [extent, stride] : dimensions)
        shape.push_back({0, static_cast<int32_t>(extent), static_cast<int32_t>(stride), 0});
    return shape;
}

}  // namespace

KernelSession::KernelSession(const std::vector<Entry>& entries, int threads) {
    std::vector<std::string> objects;
    for (const Entry& entry : entries) {
        objects.push_back(entry.kernel->object);
        slab0_bytes_ = std::max(slab0_bytes_, entry.kernel->slab0_bytes);
        slab_bytes_ = std::max(slab_bytes_, entry.kernel->slab_bytes);
    }
    object_ = std::make_unique<LoadedObject>(kernels_with_runtime(objects));
    for (const Entry& entry : entries) kernels_.push_back(make_kernel(entry));
    bind(threads);
}

KernelSession::Kernel KernelSession::make_kernel(const Entry& entry) const {
    Kernel kernel;
    kernel.function = object_->find(entry.kernel->symbol);
    if (kernel.function == nullptr)
        throw std::runtime_error("its object lacks the symbol " + entry.kernel->symbol);
    const std::vector<TensorType> types = entry.group->buffer_types();
    for (size_t i = 0; i < types.size(); i++) {
        kernel.shapes.push_back(
            shape_of(memory_dimensions(types[i], entry.group->batch, entry.group->pitch_of(i))));
    }
    for (const Scratch& scratch : entry.kernel->scratch) {
        kernel.shapes.push_back(shape_of(dense_dimensions(scratch.extents)));
        kernel.scratch.emplace_back(static_cast<size_t>(4 * scratch.elements()));
    }
    for (size_t i = 0; i < kernel.shapes.size(); i++) {
        const bool is_scratch = i >= types.size();
        emulsion_descriptor descriptor{};
        if (is_scratch) descriptor.host = kernel.scratch[i - types.size()].data();
        descriptor.type = type_word(is_scratch ? ElementType::f32 : types[i].element);
        descriptor.rank = static_cast<int32_t>(kernel.shapes[i].size());
        descriptor.dimensions = kernel.shapes[i].data();
        kernel.descriptors.push_back(descriptor);
    }
    return kernel;
}

void KernelSession::bind(int threads) {
    variant_.slab0_bytes = static_cast<uint64_t>(slab0_bytes_);
    variant_.slab_bytes = static_cast<uint64_t>(slab_bytes_);
    info_.batch = 1;
    info_.variants = variant_names_.data();
    info_.variant_count = 1;
    library_.info = &info_;
    library_.variants = &variant_;
    library_.variant_count = 1;
    library_.loss_output = -1;
    emulsion_memory memory{};
    object_->function<decltype(emulsion_library_sizes)>("emulsion_library_sizes")(
        &library_, threads, &memory.sizes);
    for (int i = 0; i < EMULSION_CLASSES; i++) {
        memory_.emplace_back(memory.sizes.bytes[i]);
        memory.block[i] = memory_.back().data();
    }
    auto* instance = static_cast<emulsion_instance*>(memory.block[EMULSION_INSTANCE]);
    emulsion_options options{};
    options.threads = threads;
    const int status = object_->function<decltype(emulsion_library_bind)>("emulsion_library_bind")(
        &library_, instance, &memory, &options);
    if (status != EMULSION_OK)
        throw std::runtime_error(fmt::format("no instance can be bound: status {}", status));
    instance_ = instance;
    for (int i = 0; i < threads; i++) {
        slabs_.emplace_back(static_cast<size_t>(i == 0 ? slab0_bytes_ : slab_bytes_));
        instance_->workers[i].slab = static_cast<char*>(slabs_.back().data());
    }
}

KernelSession::~KernelSession() {
    if (instance_ == nullptr) return;
    object_->function<decltype(emulsion_library_unbind)>("emulsion_library_unbind")(&library_,
                                                                                    instance_);
}

namespace {

// Arguments of class integer and of class float go to registers, and to the stack, apart from each
// other on x86-64, and a callee does not see that there are more than it takes. So one call serves
// every kernel of few enough arguments.
int call(void* function, const std::vector<uint64_t>& integers, const std::vector<float>& numbers) {
    std::array<uint64_t, 40> a{};
    std::array<float, 8> x{};
    if (integers.size() > a.size() || numbers.size() > x.size())
        throw std::runtime_error("it has more arguments than the tuner passes");
    std::copy(integers.begin(), integers.end(), a.begin());
    std::copy(numbers.begin(), numbers.end(), x.begin());
    using U = uint64_t;
    using Kernel = int (*)(U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U,
                           U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, float, float, float,
                           float, float, float, float, float);
    return reinterpret_cast<Kernel>(function)(
        a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13],
        a[14], a[15], a[16], a[17], a[18], a[19], a[20], a[21], a[22], a[23], a[24], a[25], a[26],
        a[27], a[28], a[29], a[30], a[31], a[32], a[33], a[34], a[35], a[36], a[37], a[38], a[39],
        x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]);
}

}  // namespace

template <class Next>
double KernelSession::run_calls(Kernel& kernel, int64_t samples, int count, const Next& next) {
    const size_t buffers = kernel.descriptors.size() - kernel.scratch.size();
    const KernelArguments* arguments = &next();
    std::vector<uint64_t> words = {reinterpret_cast<uint64_t>(instance_->workers),
                                   static_cast<uint64_t>(samples)};
    words.insert(words.end(), arguments->integers.begin(), arguments->integers.end());
    for (const emulsion_descriptor& descriptor : kernel.descriptors)
        words.push_back(reinterpret_cast<uint64_t>(&descriptor));
    if (object_->function<decltype(emulsion_call_begin)>("emulsion_call_begin")(instance_) !=
        EMULSION_OK)
        throw std::runtime_error("a call cannot begin");
    const auto begin = std::chrono::steady_clock::now();
    int status = 0;
    for (int i = 0; i < count && status == 0; i++) {
        if (i > 0) arguments = &next();
        for (size_t b = 0; b < buffers; b++) kernel.descriptors[b].host = arguments->buffers[b];
        status = call(kernel.function, words, arguments->numbers);
    }
    const std::chrono::duration<double> span = std::chrono::steady_clock::now() - begin;
    object_->function<decltype(emulsion_call_end)>("emulsion_call_end")(instance_);
    if (status != 0) throw std::runtime_error(fmt::format("it returns {}", status));
    return span.count() / count;
}

double KernelSession::run(size_t k, int64_t samples, const KernelArguments& arguments, int count) {
    return run_calls(kernels_[k], samples, count,
                     [&]() -> const KernelArguments& { return arguments; });
}

double KernelSession::run(size_t k, int64_t samples, RotatingTensors& tensors, int count) {
    return run_calls(kernels_[k], samples, count,
                     [&]() -> const KernelArguments& { return tensors.next(); });
}

void KernelSession::check_slabs() const {
    for (const GuardedBlock& slab : slabs_) {
        if (!slab.is_intact()) throw std::runtime_error("it writes beside its slab");
    }
    for (const Kernel& kernel : kernels_) {
        for (const GuardedBlock& block : kernel.scratch) {
            if (!block.is_intact()) throw std::runtime_error("it writes beside its scratch");
        }
    }
}

}  // namespace emulsion

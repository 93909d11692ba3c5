// See kernel_harness.h.
#include "tests/support/kernel_harness.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <random>
#include <set>
#include <stdexcept>

#include "compiler/graph/layout.h"
#include "compiler/ops/max_pool.h"
#include "compiler/ops/sources.h"

namespace emulsion::test {

namespace {

using reference::Tensor;

constexpr int kPattern = 0x7E;  // floats of these bytes are huge

size_t page_bytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

size_t round_up_to(size_t value, size_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

// ---- Faults ----

char fault_note[4096];

void on_fault(int signal) {
    constexpr char kText[] = "a kernel touched memory that is not its own: ";
    (void)!write(STDERR_FILENO, kText, sizeof kText - 1);
    (void)!write(STDERR_FILENO, fault_note, std::strlen(fault_note));
    (void)!write(STDERR_FILENO, "\n", 1);
    std::signal(signal, SIG_DFL);
    raise(signal);
}

}  // namespace

// ---- Blocks ----

GuardedBlock::GuardedBlock(size_t bytes, Edge edge) : bytes_(bytes) {
    const size_t page = page_bytes();
    inner_bytes_ = round_up_to(std::max<size_t>(bytes, 1), page);
    void* pages =
        mmap(nullptr, inner_bytes_ + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) throw std::runtime_error("no memory for a guarded block");
    pages_ = static_cast<std::byte*>(pages);
    if (mprotect(pages_ + page, inner_bytes_, PROT_READ | PROT_WRITE) != 0) {
        throw std::runtime_error("pages cannot be made writable");
    }
    std::memset(pages_ + page, kPattern, inner_bytes_);
    data_ = pages_ + page;
    if (edge == Edge::back)
        data_ += (inner_bytes_ - bytes) / EMULSION_ALIGNMENT * EMULSION_ALIGNMENT;
}

GuardedBlock::~GuardedBlock() { munmap(pages_, inner_bytes_ + 2 * page_bytes()); }

bool GuardedBlock::is_pattern_intact() const {
    const std::byte* begin = pages_ + page_bytes();
    const std::byte* end = begin + inner_bytes_;
    const auto is_pattern = [](std::byte b) { return b == std::byte{kPattern}; };
    return std::all_of(begin, static_cast<const std::byte*>(data_), is_pattern) &&
           std::all_of(static_cast<const std::byte*>(data_) + bytes_, end, is_pattern);
}

FaultNote::FaultNote(const std::string& text) {
    std::strncpy(fault_note, text.c_str(), sizeof fault_note - 1);
    std::signal(SIGSEGV, on_fault);
    std::signal(SIGBUS, on_fault);
}

FaultNote::~FaultNote() {
    std::signal(SIGSEGV, SIG_DFL);
    std::signal(SIGBUS, SIG_DFL);
}

// ---- The harness ----

// Arguments of class integer and of class float go to registers, and to the stack, apart from each
// other on x86-64, and a callee does not see that there are more than it takes. So one call serves
// every kernel of few enough arguments.
int call_kernel(void* kernel, std::vector<uint64_t> a, std::vector<float> x) {
    if (a.size() > 30 || x.size() > 4)
        throw std::runtime_error("a kernel has more arguments than the harness passes");
    a.resize(30);
    x.resize(4);
    using U = uint64_t;
    using Kernel = int (*)(U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U,
                           U, U, U, U, U, U, float, float, float, float);
    return reinterpret_cast<Kernel>(kernel)(
        a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13],
        a[14], a[15], a[16], a[17], a[18], a[19], a[20], a[21], a[22], a[23], a[24], a[25], a[26],
        a[27], a[28], a[29], x[0], x[1], x[2], x[3]);
}

struct KernelHarness::Operands {
    std::vector<std::unique_ptr<GuardedBlock>> blocks;  // of the buffers
    std::vector<uint64_t> integers;                     // scalars, in order
    std::vector<float> numbers;
    std::vector<std::unique_ptr<GuardedBlock>> slabs;
};

KernelHarness::KernelHarness(const Group& group, const CompiledKernel& compiled, bool checked,
                             int threads)
    : group_(group),
      checked_(checked),
      slab0_bytes_(compiled.slab0_bytes),
      slab_bytes_(compiled.slab_bytes) {
    object_ = std::make_unique<LoadedObject>(kernel_with_runtime(compiled.object));
    kernel_ = object_->find(compiled.symbol);
    if (kernel_ == nullptr)
        throw std::runtime_error("the object of a kernel lacks the symbol " + compiled.symbol);
    types_ = group.buffer_types();
    for (size_t i = 0; i < types_.size(); i++) {
        std::vector<emulsion_dimension> shape;
        for (const auto& [extent, stride] :
             memory_dimensions(types_[i], group.batch, group.pitch_of(i)))
            shape.push_back({0, static_cast<int32_t>(extent), static_cast<int32_t>(stride), 0});
        shapes_.push_back(std::move(shape));
    }
    results_end_ = types_.size();
    for (const Scratch& scratch : compiled.scratch) {
        types_.emplace_back();
        std::vector<emulsion_dimension> shape;
        for (const auto& [extent, stride] : dense_dimensions(scratch.extents))
            shape.push_back({0, static_cast<int32_t>(extent), static_cast<int32_t>(stride), 0});
        shapes_.push_back(std::move(shape));
        scratch_bytes_.push_back(static_cast<size_t>(4 * scratch.elements()));
    }
    for (size_t i = 0; i < types_.size(); i++) {
        buffers_.push_back({shapes_[i].data(), nullptr, 0, type_word(types_[i].element),
                            static_cast<int16_t>(shapes_[i].size()), EMULSION_CONSTANT});
    }
    variant_names_ = {"kernel"};
    info_.batch = group.batch;
    info_.variants = variant_names_.data();
    info_.variant_count = 1;
    variant_.buffer_count = static_cast<int32_t>(buffers_.size());
    variant_.buffers = buffers_.data();
    variant_.slab0_bytes = static_cast<uint64_t>(slab0_bytes_);
    variant_.slab_bytes = static_cast<uint64_t>(slab_bytes_);
    library_.info = &info_;
    library_.variants = &variant_;
    library_.variant_count = 1;
    library_.loss_output = -1;
    emulsion_memory memory{};
    const emulsion_sizes& sizes = memory.sizes;
    object_->function<decltype(emulsion_library_sizes)>("emulsion_library_sizes")(
        &library_, threads, &memory.sizes);
    for (int i = 0; i < EMULSION_CLASSES; i++) {
        memory_.push_back(std::make_unique<GuardedBlock>(sizes.bytes[i], Edge::back));
        memory.block[i] = memory_.back()->data();
    }
    instance_ = reinterpret_cast<emulsion_instance*>(memory.block[EMULSION_INSTANCE]);
    emulsion_options options{};
    options.threads = threads;
    const int status = object_->function<decltype(emulsion_library_bind)>("emulsion_library_bind")(
        &library_, instance_, &memory, &options);
    if (status != EMULSION_OK)
        throw std::runtime_error(fmt::format("bind of one kernel returns {}", status));
}

KernelHarness::~KernelHarness() {
    object_->function<decltype(emulsion_library_unbind)>("emulsion_library_unbind")(&library_,
                                                                                    instance_);
}

void KernelHarness::set_descriptors(const Operands& operands, int64_t samples) {
    for (size_t i = 0; i < types_.size(); i++) {
        // Halide's own checks compare extents with those of the call; a shipped kernel reads
        // `samples` alone.
        if (types_[i].batched)
            shapes_[i].back().extent = checked_ ? static_cast<int32_t>(samples) : group_.batch;
        instance_->descriptors[i].host = operands.blocks[i]->data();
    }
    for (int i = 0; i < instance_->threads; i++) {
        emulsion_worker& worker = instance_->workers[i];
        worker.slab = reinterpret_cast<char*>(operands.slabs[static_cast<size_t>(i)]->data());
    }
}

int KernelHarness::call(const Operands& operands, int64_t samples) {
    std::vector<uint64_t> words = {reinterpret_cast<uint64_t>(instance_->workers),
                                   static_cast<uint64_t>(samples)};
    words.insert(words.end(), operands.integers.begin(), operands.integers.end());
    for (size_t i = 0; i < types_.size(); i++)
        words.push_back(reinterpret_cast<uint64_t>(&instance_->descriptors[i]));
    return call_kernel(kernel_, std::move(words), operands.numbers);
}

size_t KernelHarness::span_of(size_t i, int64_t samples) const {
    return static_cast<size_t>(span_bytes(types_[i], samples, group_.pitch_of(i)));
}

void KernelHarness::for_each_row(size_t i, int64_t samples,
                                 const std::function<void(size_t, size_t, size_t)>& visit) const {
    const auto element = static_cast<size_t>(bytes_of(types_[i].element));
    const auto bytes = static_cast<size_t>(memory_bytes(types_[i], samples));
    const auto pitch = static_cast<size_t>(group_.pitch_of(i)) * element;
    const size_t row = pitch == 0 ? bytes : static_cast<size_t>(types_[i].shape[0]) * element;
    for (size_t k = 0; k * row < bytes; k++) visit(k * pitch, k * row, row);
}

std::vector<std::vector<std::byte>> KernelHarness::run(const reference::Sources& sources,
                                                       int64_t samples, Edge edge) {
    Operands operands;
    for (const Node& node : group_.body.nodes()) {
        if (node.op->kind() == "scalar") {
            const double value = sources.at(node.name).values[0];
            if (node.types[0].element == ElementType::f32) {
                operands.numbers.push_back(static_cast<float>(value));
            } else {
                operands.integers.push_back(static_cast<uint32_t>(static_cast<int64_t>(value)));
            }
        }
        if (node.op->kind() != "input") continue;
        const std::vector<std::byte> bytes = reference::pack(sources.at(node.name));
        const size_t i = operands.blocks.size();
        operands.blocks.push_back(std::make_unique<GuardedBlock>(span_of(i, samples), edge));
        for_each_row(i, samples, [&](size_t lies, size_t packed, size_t count) {
            std::memcpy(operands.blocks[i]->data() + lies, bytes.data() + packed, count);
        });
    }
    const size_t inputs = operands.blocks.size();
    for (size_t i = inputs; i < types_.size(); i++) {
        const size_t bytes =
            i < results_end_ ? span_of(i, samples) : scratch_bytes_[i - results_end_];
        operands.blocks.push_back(std::make_unique<GuardedBlock>(bytes, edge));
    }
    for (int i = 0; i < instance_->threads; i++) {
        const auto bytes = static_cast<size_t>(i == 0 ? slab0_bytes_ : slab_bytes_);
        operands.slabs.push_back(std::make_unique<GuardedBlock>(bytes, edge));
    }
    set_descriptors(operands, samples);
    EXPECT_EQ(object_->function<decltype(emulsion_call_begin)>("emulsion_call_begin")(instance_),
              EMULSION_OK);
    const int status = call(operands, samples);
    object_->function<decltype(emulsion_call_end)>("emulsion_call_end")(instance_);
    EXPECT_EQ(status, 0) << "the kernel returns an error of Halide's";
    for (size_t i = 0; i < types_.size(); i++) {
        EXPECT_TRUE(operands.blocks[i]->is_pattern_intact())
            << "something was written beside buffer " << i;
    }
    for (const auto& slab : operands.slabs)
        EXPECT_TRUE(slab->is_pattern_intact()) << "beside a slab";
    std::vector<std::vector<std::byte>> results;
    for (size_t i = inputs; i < results_end_; i++) {
        std::byte* block = operands.blocks[i]->data();
        std::vector<std::byte>& result = results.emplace_back();
        for_each_row(i, samples, [&](size_t lies, size_t, size_t count) {
            result.insert(result.end(), block + lies, block + lies + count);
            std::memset(block + lies, kPattern, count);
        });
        EXPECT_TRUE(std::all_of(block, block + operands.blocks[i]->bytes(),
                                [](std::byte b) { return b == std::byte{kPattern}; }))
            << "something was written between the channels of buffer " << i;
    }
    return results;
}

// ---- Random sources ----

namespace {

bool has_window_winner(const Group& group) {
    for (const Result& result : group.body.results()) {
        if (group.body.type(result.value).element == ElementType::u8) return true;
    }
    return false;
}

// Variances, and what updates take roots of or divide by, are positive.
bool must_be_positive(const Graph& body, int source) {
    static const std::set<std::pair<std::string_view, size_t>> kPositive = {
        {"batch_norm_factor", 1}, {"batch_norm_coefficients", 1},
        {"batch_norm_fold", 3},   {"merge_moments", 2},
        {"adam_update", 3},       {"adam_update", 4},
        {"adam_update", 5},       {"adagrad_update", 2},
        {"adadelta_update", 2},   {"adadelta_update", 3},
        {"rmsprop_update", 2},    {"clip_factor", 0},
    };
    for (const Node& node : body.nodes()) {
        for (size_t i = 0; i < node.inputs.size(); i++) {
            if (node.inputs[i].node == source && kPositive.contains({node.op->kind(), i}))
                return true;
        }
    }
    return false;
}

// Number of taps of the windows that an operand names winners of.
int64_t taps_of(const Graph& body, int source) {
    for (size_t i = 0; i < body.nodes().size(); i++) {
        const auto* op = body.op_as<MaxPoolBackward>(static_cast<int>(i));
        if (op != nullptr && body.nodes()[i].inputs[1].node == source)
            return op->window[0] * op->window[1];
    }
    return 1;
}

}  // namespace

reference::Sources random_sources(const Group& group, int64_t samples, int64_t classes,
                                  uint64_t seed) {
    // Whole numbers make sums exact, so that which cell of a window wins does not hang on rounding.
    const bool is_exact = has_window_winner(group);
    std::mt19937_64 random(seed);
    std::normal_distribution<double> normal;
    std::uniform_real_distribution<double> positive(0.1, 0.9);
    reference::Sources sources;
    for (int i = 0; i < static_cast<int>(group.body.nodes().size()); i++) {
        const Node& node = group.body.node(i);
        if (node.op->op_class() != OpClass::source || node.op->kind() == "constant") continue;
        Tensor tensor = reference::make_tensor(node.types[0], samples);
        const bool is_positive = must_be_positive(group.body, i);
        const int64_t limit =
            node.types[0].element == ElementType::u8 ? taps_of(group.body, i) : classes;
        for (double& value : tensor.values) {
            if (node.types[0].element != ElementType::f32) {
                value = static_cast<double>(random() % static_cast<uint64_t>(limit));
            } else if (is_exact) {
                value = static_cast<double>(random() % 7) - 3;
            } else {
                value = is_positive ? positive(random) : normal(random);
            }
        }
        sources[node.name] = reference::rounded(std::move(tensor));
    }
    return sources;
}

}  // namespace emulsion::test

// Times the recipes of one contraction, tiling by tiling: bench_kernels OP [NAME=NUMBER…], such as
//
//     bench_kernels conv2d batch=64 in=32 size=14 out=64 kernel=5 pool=2
//
// OP is conv2d, winograd_conv2d, conv2d_backward_filter, conv2d_backward_data, dense,
// dense_backward_data or dense_backward_weights. Numbers, with their defaults: batch=64 in=64
// out=64 size=14 kernel=3 rows=kernel (of the filter; not of its gradient) stride=1
// padding=kernel/2 isa=512 (or 256), tile=4 (of winograd_conv2d; 2 where the kernel is 5),
// tilings=8 (per recipe), cold=1 (sets of tensors that the runs go through in turn: with more than
// the caches hold they come from memory), and switches: pool=2 (max-pooling of conv2d's result,
// with bias and ReLU), unpool=1 (dy of the filter gradient comes through a max-pooling of 2),
// activation=1 (the first input comes through a ReLU), default=1 (the recipe of that name, too),
// l2=0 (or the KiB of a second cache: the default tiling for it alone).
//
// A line gives recipe, tiling, milliseconds, GFLOP/s and the share of the multiply-add peak.
// Everything runs on one thread and counts CPU time, best of many short runs, so that a busy
// machine disturbs little; the peak is the best of several at the start.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <map>

#include "compiler/codegen/kernel.h"
#include "compiler/codegen/loader.h"
#include "compiler/graph/layout.h"
#include "compiler/ops/activations.h"
#include "compiler/ops/arithmetic.h"
#include "compiler/ops/conv2d.h"
#include "compiler/ops/dense.h"
#include "compiler/ops/max_pool.h"
#include "compiler/ops/sources.h"
#include "compiler/ops/winograd.h"
#include "runtime/abi/instance.h"
#include "runtime/support/machine_speed.h"
#include "schedules/library.h"

namespace emulsion {
namespace {

double cpu_seconds() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

using Numbers = std::map<std::string, int64_t>;

Value add_input(GraphBuilder& builder, const std::string& name, const TensorType& type) {
    return builder.add(std::make_shared<Input>(type), {}, name);
}

template <class T>
std::shared_ptr<T> conv_op(const Numbers& n) {
    auto op = std::make_shared<T>();
    const int64_t padding = n.at("padding"), above = n.at("rows") == 0 ? padding : n.at("rows") / 2;
    op->stride = {n.at("stride"), n.at("stride")};
    op->padding = {above, above, padding, padding};
    return op;
}

// The body of a group for the asked op; returns its results.
std::vector<Value> build_body(GraphBuilder& b, const std::string& op, const Numbers& n) {
    const int64_t in = n.at("in"), out = n.at("out"), size = n.at("size"), kernel = n.at("kernel");
    auto active = [&](Value value) {
        return n.at("activation") ? b.add(std::make_shared<Relu>(), {value}, "p0") : value;
    };
    if (op.starts_with("dense")) {
        const bool forward = op == "dense", to_data = op == "dense_backward_data";
        const Value a = add_input(b, "a0", batched_type({to_data ? out : in}));
        const Value w =
            add_input(b, "a1", forward || to_data ? plain_type({out, in}) : batched_type({out}));
        std::shared_ptr<const Op> dense;
        if (forward) dense = std::make_shared<Dense>();
        if (to_data) dense = std::make_shared<DenseBackwardData>();
        if (!dense) dense = std::make_shared<DenseBackwardWeights>();
        return {b.add(dense, {active(a), w}, "v0")};
    }
    const int64_t rows = n.at("rows") == 0 ? kernel : n.at("rows");
    const TensorType x = batched_type({in, size, size}), w = plain_type({out, in, rows, kernel});
    const TensorType y = conv_op<Conv2d>(n)->infer({{x, w}})[0];
    if (op == "conv2d") {
        Value value =
            b.add(conv_op<Conv2d>(n), {active(add_input(b, "a0", x)), add_input(b, "a1", w)}, "v0");
        if (n.at("pool") == 0) return {value};
        auto pool = std::make_shared<MaxPool>();
        pool->window = pool->stride = {n.at("pool"), n.at("pool")};
        const Value pooled = b.add(pool, {value}, "v1");
        value =
            b.add(std::make_shared<Add>(), {pooled, add_input(b, "a2", plain_type({out}))}, "v2");
        return {b.add(std::make_shared<Relu>(), {value}, "v3"), {pooled.node, 1}};
    }
    if (op == "winograd_conv2d") {
        auto convolution = std::make_shared<WinogradConv2d>();
        const int64_t p = n.at("padding");
        convolution->tile = kernel == 5 ? 2 : n.at("tile");
        convolution->padding = {p, p, p, p};
        const int64_t points = convolution->tile + kernel - 1;
        const Value u = add_input(b, "a1", plain_type({out, in, points, points}));
        return {b.add(convolution, {active(add_input(b, "a0", x)), u}, "v0")};
    }
    if (op == "conv2d_backward_data") {
        auto gradient = conv_op<Conv2dBackwardData>(n);
        gradient->input = {size, size};
        gradient->rotated = true;
        const Value filter = add_input(b, "a1", plain_type({in, out, rows, kernel}));
        return {b.add(gradient, {active(add_input(b, "a0", y)), filter}, "v0")};
    }
    if (op != "conv2d_backward_filter") throw std::runtime_error("unknown op '" + op + "'");
    auto gradient = conv_op<Conv2dBackwardFilter>(n);
    gradient->kernel = {kernel, kernel};
    const Value input = active(add_input(b, "a0", x));
    if (n.at("unpool") == 0) return {b.add(gradient, {input, add_input(b, "a1", y)}, "v0")};
    auto unpool = std::make_shared<MaxPoolBackward>();
    unpool->input = {y.shape[1], y.shape[2]};
    const std::vector<int64_t> half = {out, y.shape[1] / 2, y.shape[2] / 2};
    const Value dy = add_input(b, "a1", batched_type(half));
    const Value index = add_input(b, "a2", batched_type(half, ElementType::u8));
    return {b.add(gradient, {input, b.add(unpool, {dy, index}, "p1")}, "v0")};
}

Group build_group(const std::string& op, const Numbers& n) {
    GraphBuilder builder("group");
    int index = 0;
    for (Value value : build_body(builder, op, n))
        builder.output(fmt::format("r{}", index++), value);
    Group group;
    group.body = builder.build();
    group.batch = static_cast<int>(n.at("batch"));
    for (size_t i = 0; i < group.body.nodes().size(); i++) {
        if (group.body.nodes()[i].op->op_class() == OpClass::anchor)
            group.anchor = static_cast<int>(i);
    }
    return group;
}

double multiply_adds(const Group& group) {
    std::vector<TensorType> inputs;
    for (Value value : group.anchor_node().inputs) inputs.push_back(group.body.type(value));
    return static_cast<double>(group.anchor_node().op->multiply_adds(inputs)) * group.batch;
}

// Tensors and descriptors of a group in the order of a kernel's arguments. Values are small
// numbers, bytes 0 … 3.
class Arguments {
  public:
    Arguments(const Group& group, const std::vector<Scratch>& scratch) {
        for (const Node& node : group.body.nodes()) {
            if (node.op->op_class() == OpClass::source) add(node.types[0], group.batch);
        }
        for (const Result& result : group.body.results())
            add(group.body.type(result.value), group.batch);
        for (const Scratch& s : scratch) add(ElementType::f32, dense_dimensions(s.extents));
        for (size_t i = 0; i < buffers_.size(); i++) {
            buffers_[i].dim = dimensions_[i].data();
            pointers_[i] = &buffers_[i];
        }
    }
    Arguments(const Arguments&) = delete;
    Arguments& operator=(const Arguments&) = delete;
    void* at(size_t i) { return pointers_[i]; }

  private:
    static constexpr size_t kMost = 8;
    void add(const TensorType& type, int batch) {
        add(type.element, memory_dimensions(type, batch));
    }
    void add(ElementType element, const std::vector<Dimension>& dimensions) {
        const int64_t elements =
            dimensions.empty() ? 1 : dimensions.back().extent * dimensions.back().stride;
        const auto bytes = static_cast<size_t>(round_up(elements * bytes_of(element), 64));
        auto* memory = static_cast<uint8_t*>(std::aligned_alloc(64, bytes));
        for (size_t i = 0; i < bytes; i++) memory[i] = static_cast<uint8_t>(i * 7 % 4);
        if (element == ElementType::f32) {
            auto* values = reinterpret_cast<float*>(memory);
            for (size_t i = 0; i < bytes / 4; i++)
                values[i] = 0.01F * static_cast<float>(i % 97) - 0.5F;
        }
        dimensions_.emplace_back();
        for (const auto& [extent, stride] : dimensions) {
            dimensions_.back().emplace_back(0, static_cast<int32_t>(extent),
                                            static_cast<int32_t>(stride));
        }
        halide_buffer_t buffer{};
        buffer.host = memory;
        buffer.type =
            element == ElementType::u8 ? halide_type_of<uint8_t>() : halide_type_of<float>();
        buffer.dimensions = static_cast<int32_t>(dimensions_.back().size());
        buffers_.push_back(buffer);
    }
    std::vector<std::vector<halide_dimension_t>> dimensions_;
    std::vector<halide_buffer_t> buffers_;
    void* pointers_[kMost] = {};
};

// The least seconds of many runs.
double time_kernel(const Group& group, const CompiledKernel& kernel, int sets) {
    LoadedObject object(kernel_with_runtime(kernel.object));
    using Function = int(void*, int, void*, void*, void*, void*, void*, void*, void*, void*);
    auto* run = object.function<Function>(kernel.symbol);
    const auto slab_bytes =
        static_cast<size_t>(round_up(std::max<int64_t>(kernel.slab0_bytes, 64), 64));
    auto* slab = static_cast<char*>(std::aligned_alloc(64, slab_bytes));
    emulsion_instance instance{};
    emulsion_worker worker{};
    instance.self = &instance;
    instance.workers = &worker;
    instance.threads = 1;
    worker.instance = &instance;
    worker.slab = slab;
    worker.slab_bytes = slab_bytes;
    std::deque<Arguments> arguments;
    for (int i = 0; i < sets; i++) arguments.emplace_back(group, kernel.scratch);
    double least = 1e9;
    for (int repeat = 0; repeat < 21; repeat++) {
        const double begin = cpu_seconds();
        int count = 0;
        do {
            Arguments& a = arguments[static_cast<size_t>(count % sets)];
            run(&worker, group.batch, a.at(0), a.at(1), a.at(2), a.at(3), a.at(4), a.at(5), a.at(6),
                a.at(7));
            count++;
        } while (cpu_seconds() - begin < 0.004);
        if (repeat > 0) least = std::min(least, (cpu_seconds() - begin) / count);
    }
    std::free(slab);
    return least;
}

int run_benchmark(const std::string& op, const Numbers& numbers) {
    const Isa& isa = numbers.at("isa") == 512 ? isa_avx512() : isa_avx2();
    const Group group = build_group(op, numbers);
    const RecipeLibrary library = make_library();
    std::vector<PlannedKernel> kernels;
    for (const auto& recipe : library) {
        if (!can_run(*recipe, group, isa, /*exact=*/false)) continue;
        if (recipe->name() == "default" && numbers.at("default") == 0) continue;
        std::vector<Tiling> tilings = recipe->tilings(group, isa);
        tilings.resize(std::min(tilings.size(), static_cast<size_t>(numbers.at("tilings"))));
        if (const int64_t l2 = numbers.at("l2"); l2 > 0)
            tilings = {recipe->default_tiling(group, isa, {.l2_bytes = l2 << 10})};
        for (const Tiling& tiling : tilings) {
            kernels.push_back({group, std::string(recipe->name()), recipe->version(), tiling});
        }
    }
    const std::vector<CompiledKernel> compiled = compile_kernels(kernels, isa, library, {});
    const double work = 2 * multiply_adds(group);
    double peak = 0;
    for (int i = 0; i < 15; i++) peak = std::max(peak, measure_peak(isa.name, 1));
    for (size_t i = 0; i < kernels.size(); i++) {
        const double seconds =
            time_kernel(group, compiled[i], static_cast<int>(numbers.at("cold")));
        fmt::print("{:<28} {:<64} {:9.4f} ms {:8.1f} GFLOP/s {:5.1f} % of the peak\n",
                   kernels[i].recipe, to_string(kernels[i].tiling), seconds * 1e3,
                   work / seconds / 1e9, 100 * work / seconds / peak);
        std::fflush(stdout);
    }
    return 0;
}

Numbers parse_numbers(int count, char** words) {
    Numbers numbers = {{"batch", 64},  {"in", 64},    {"out", 64},       {"size", 14},
                       {"kernel", 3},  {"stride", 1}, {"isa", 512},      {"pool", 0},
                       {"tilings", 8}, {"unpool", 0}, {"activation", 0}, {"padding", -1},
                       {"cold", 1},    {"tile", 4},   {"default", 0},    {"rows", 0},
                       {"l2", 0}};
    for (int i = 0; i < count; i++) {
        const std::string word = words[i];
        const size_t equals = word.find('=');
        const std::string name = word.substr(0, equals);
        if (equals == std::string::npos || !numbers.contains(name))
            throw std::runtime_error("unknown: " + word);
        numbers[name] = std::atoll(word.c_str() + equals + 1);
    }
    if (numbers["padding"] < 0) numbers["padding"] = numbers["kernel"] / 2;
    return numbers;
}

}  // namespace
}  // namespace emulsion

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fputs(
            "usage: bench_kernels OP [NAME=NUMBER...]; the names stand at the top of "
            "tests/bench/kernels.cpp\n",
            stderr);
        return 2;
    }
    try {
        return emulsion::run_benchmark(argv[1], emulsion::parse_numbers(argc - 2, argv + 2));
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
}

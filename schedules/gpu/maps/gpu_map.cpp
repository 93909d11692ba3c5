// A thread for each element.
#include "schedules/gpu/maps/gpu_map.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "compiler/ops/pool_attributes.h"
#include "compiler/ops/unfactor.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/anchor.h"
#include "schedules/common/funcs.h"
#include "schedules/common/group_work.h"
#include "schedules/gpu/common/elements.h"

namespace emulsion {

using Halide::Func;
using Halide::Var;

namespace {

constexpr int kFallbackThreads = 64;

// Names of the Funcs with sums that a Func reads, through whatever is put into its place.
std::set<std::string> sums_read(const Halide::Internal::Function& function) {
    std::set<std::string> names;
    for (const auto& [name, called] : Halide::Internal::find_direct_calls(function)) {
        if (name == function.name()) continue;
        if (called.has_update_definition()) {
            names.insert(name);
        } else {
            names.merge(sums_read(called));
        }
    }
    return names;
}

// Whether the steps of a sum read different elements of the sum `name`, through whatever is put
// into its place.
class StepReads : public Halide::Internal::IRVisitor {
  public:
    StepReads(const Func& reader, std::string name) : name_(std::move(name)) {
        for (const auto& update : reader.function().updates()) {
            for (const Halide::Expr& value : update.values()) value.accept(this);
        }
    }
    bool differ = false;

  private:
    using Halide::Internal::IRVisitor::visit;
    void visit(const Halide::Internal::Call* call) override {
        const bool is_func = call->call_type == Halide::Internal::Call::Halide;
        const bool is_read = is_func && (call->name == name_ || reads_it(call));
        const bool was_argument = std::exchange(is_argument_, is_argument_ || is_read);
        IRVisitor::visit(call);
        is_argument_ = was_argument;
    }
    void visit(const Halide::Internal::Variable* variable) override {
        differ = differ || (is_argument_ && variable->reduction_domain.defined());
    }
    bool reads_it(const Halide::Internal::Call* call) const {
        const Halide::Internal::Function called(call->func);
        return !called.has_update_definition() && sums_read(called).contains(name_);
    }

    std::string name_;
    bool is_argument_ = false;
};

// Sums are computed by the thread that stores what is read of them; what one other sum alone reads,
// another element in each step, by each step of that sum.
void compute_sums_in_threads(const Func& func, const Var& thread) {
    std::vector<Func> sums;
    for (Func& helper : helpers_of({func})) {
        if (helper.has_update_definition()) sums.push_back(helper);
    }
    const std::set<std::string> read_by_func = sums_read(func.function());
    for (Func& sum : sums) {
        std::vector<Func> readers;
        for (const Func& other : sums) {
            if (sums_read(other.function()).contains(sum.name())) readers.push_back(other);
        }
        const bool is_of_steps = readers.size() == 1 && !read_by_func.contains(sum.name()) &&
                                 StepReads(readers[0], sum.name()).differ;
        if (is_of_steps) {
            sum.compute_at(readers[0], readers[0].rvars(0).at(0));
        } else {
            sum.compute_at(func, thread);
        }
    }
}

// Whether elements that lie side by side are made of elements that do. Loads for a vector of others
// are strided: Halide makes them of longer vectors, of widths that OpenCL C does not have.
bool keeps_neighbours(const Graph& body) {
    for (int i = 0; i < static_cast<int>(body.nodes().size()); i++) {
        if (body.op_as<Factor>(i) != nullptr || body.op_as<Unfactor>(i) != nullptr) return false;
    }
    return true;
}

TilingSpace thread_space(const Isa& isa) {
    std::vector<int> threads;
    for (int count = 32; count <= isa.block_threads; count *= 2) threads.push_back(count);
    return {{"threads", threads}};
}

std::vector<Tiling> thread_tilings(const Isa& isa) {
    return {{{{"threads", std::min(256, isa.block_threads)}}}, {{{"threads", 64}}}};
}

}  // namespace

bool GpuMap::applies(const Group& group, const Isa&) const {
    return group.anchor < 0 && has_one_shape(group);
}

TilingSpace GpuMap::space(const Group&, const Isa& isa) const { return thread_space(isa); }

std::vector<Tiling> GpuMap::tilings(const Group&, const Isa& isa) const {
    return thread_tilings(isa);
}

double GpuMap::cost(const Group& group, const Tiling&, const Isa&, const Machine&) const {
    return device_seconds(1, traffic_bytes(group));
}

std::vector<Func> GpuMap::build(KernelContext& context, const Tiling& tiling) const {
    const Graph& body = context.group().body;
    const bool vectors = has_vectors(body.type(body.results()[0].value)) && keeps_neighbours(body);
    return {schedule_stores(context.finish(), tiling.at("threads"), vectors)};
}

bool GpuPool::applies(const Group& group, const Isa&) const {
    return anchor_as<PoolAttributes>(group) != nullptr && has_one_shape(group) &&
           group.epilogue_window() == std::vector<int64_t>{1, 1};
}

TilingSpace GpuPool::space(const Group&, const Isa& isa) const { return thread_space(isa); }

std::vector<Tiling> GpuPool::tilings(const Group&, const Isa& isa) const {
    return thread_tilings(isa);
}

double GpuPool::cost(const Group& group, const Tiling&, const Isa&, const Machine&) const {
    return device_seconds(1, traffic_bytes(group));
}

// Windows with many cells are loops, whose sums are those of one channel.
std::vector<Func> GpuPool::build(KernelContext& context, const Tiling& tiling) const {
    const Group& group = context.group();
    const Func values = context.finish(context.plain());
    const std::vector<Func> helpers = helpers_of({values});
    const bool has_loops = std::any_of(helpers.begin(), helpers.end(), [](const Func& helper) {
        return helper.has_update_definition();
    });
    const TensorType& type = group.body.type(group.body.results()[0].value);
    const Func out = schedule_stores(values, tiling.at("threads"), !has_loops && has_vectors(type));
    if (has_loops) compute_sums_in_threads(out, Var("thread"));
    return {out};
}

bool GpuFallback::applies(const Group& group, const Isa&) const {
    if (group.epilogue_window() != std::vector<int64_t>{1, 1}) return false;
    return has_one_shape(group) || (group.anchor >= 0 && !group.has_epilogue());
}

std::vector<Tiling> GpuFallback::tilings(const Group&, const Isa&) const { return {{}}; }

// A hundredth of what recipes made for the anchor reach, and less where there are few results.
double GpuFallback::cost(const Group& group, const Tiling&, const Isa&, const Machine&) const {
    const TensorType& result = group.body.type(group.body.results()[0].value);
    const double blocks =
        static_cast<double>(memory_bytes(result, group.batch)) / (sizeof(float) * kFallbackThreads);
    return device_seconds(1, 10 * traffic_bytes(group), static_cast<double>(group.multiply_adds()),
                          0.01 * std::min(1.0, blocks / kMultiprocessors));
}

std::vector<Func> GpuFallback::build(KernelContext& context, const Tiling&) const {
    const Group& group = context.group();
    const size_t count = group.body.results().size();
    std::vector<Func> outputs;
    if (group.anchor < 0) {
        outputs = {stored_copy(context.finish(), "stored0")};
    } else if (has_one_shape(group)) {
        outputs = {stored_copy(context.finish(context.plain()), "stored0")};
    } else {
        // Each with helpers of its own: threads share nothing.
        for (size_t i = 0; i < count; i++) {
            const Value value = group.body.results()[i].value;
            outputs.push_back(stored_copy(context.plain()[static_cast<size_t>(value.output)],
                                          "stored" + std::to_string(i)));
        }
    }
    for (size_t i = 0; i < outputs.size(); i++) {
        const Var thread = schedule_elements(outputs[i], kFallbackThreads, /*vectors=*/false);
        compute_sums_in_threads(outputs[i], thread);
    }
    return outputs;
}

}  // namespace emulsion

// Schedules of independent elements: tasks, vectors and the helpers inside them.
#include "schedules/cpu/maps/map.h"

#include <algorithm>
#include <set>
#include <string>

#include "compiler/graph/limits.h"
#include "compiler/ops/lowering.h"
#include "compiler/support/diagnostic.h"
#include "schedules/cpu/common/tiling.h"

namespace emulsion {

using Halide::Func;
using Halide::TailStrategy;
using Halide::Var;
using Halide::VarOrRVar;

namespace {

// A loop over one coordinate, or over several that were fused.
struct Loop {
    Var var;
    int64_t extent;              // the most it can be
    std::set<std::string> axes;  // the coordinates that it walks along
    bool is_open = false;        // it may be less: it walks along samples
};

std::vector<Loop> loops_of(const Func& func, const TensorType& type, int batch) {
    std::vector<Loop> loops;
    std::vector<int64_t> extents = memory_extents(type);
    if (type.batched) extents.push_back(batch);
    for (size_t i = 0; i < extents.size(); i++) {
        const std::string name = func.args()[i].name();
        loops.push_back({func.args()[i], extents[i], {name}, name == "n"});
    }
    return loops;
}

// Whether the two innermost loops, of these extents, become one.
bool fuses_rows(const std::vector<int64_t>& extents) {
    return extents.size() > 2 && extents[0] > 1 && extents[0] % kLanes != 0;
}

void fuse_rows(Func func, std::vector<Loop>& loops) {
    const Var row("row");
    func.fuse(loops[0].var, loops[1].var, row);
    loops[1] = {row, loops[0].extent * loops[1].extent, {row.name()}};
    loops.erase(loops.begin());
}

// Splits loop `index` by `factor` and puts the outer loop after it. The most that a loop along n
// can be is not what it is.
void split_loop(Func func, std::vector<Loop>& loops, size_t index, int64_t factor) {
    Loop& loop = loops[index];
    const Var outer(loop.var.name() + "o"), inner(loop.var.name() + "i");
    const bool divides = loop.extent % factor == 0 && !loop.is_open;
    func.split(loop.var, outer, inner, to_int(factor),
               divides ? TailStrategy::RoundUp : TailStrategy::GuardWithIf);
    const Loop whole = loop;
    loop = {inner, factor, whole.axes};
    loops.insert(loops.begin() + static_cast<std::ptrdiff_t>(index) + 1,
                 {outer, (whole.extent + factor - 1) / factor, whole.axes, whole.is_open});
}

// Cuts the loops into tasks of about `elements` and fuses what is outside one; the last loop is
// then the task. Returns whether there is more than one task.
bool cut_tasks(Func func, std::vector<Loop>& loops, int64_t elements) {
    int64_t inside = 1;
    size_t cut = 0;  // the outermost loop that begins inside a task
    while (cut + 1 < loops.size() && inside * loops[cut].extent <= elements)
        inside *= loops[cut++].extent;
    const int64_t unit = inside == 1 ? kLanes : 1;  // the loop that will hold the vectors
    const int64_t factor = std::max<int64_t>(1, elements / inside / unit) * unit;
    if (factor >= loops[cut].extent) return false;
    if (factor > 1) split_loop(func, loops, cut++, factor);
    while (cut + 1 < loops.size()) {
        const Var task(loops[cut + 1].var.name() + "_" + loops[cut].var.name());
        func.fuse(loops[cut].var, loops[cut + 1].var, task);
        std::set<std::string> axes = loops[cut].axes;
        axes.insert(loops[cut + 1].axes.begin(), loops[cut + 1].axes.end());
        loops[cut + 1] = {task, loops[cut].extent * loops[cut + 1].extent, axes};
        loops.erase(loops.begin() + static_cast<std::ptrdiff_t>(cut));
    }
    return loops[cut].extent > 1;
}

// Unrolls the first of the loops from `index` to `end` that runs more than once.
void unroll_strip(Func func, std::vector<Loop>& loops, size_t index, size_t end, int strip) {
    while (index < end && loops[index].extent == 1) index++;
    if (index == end) return;
    split_loop(func, loops, index, strip);
    func.unroll(loops[index].var);
}

}  // namespace

int64_t element_limit(const TensorType& type, int batch) {
    int64_t count = type.batched ? batch : 1;
    for (int64_t extent : memory_extents(type)) count *= extent;
    return count;
}

TilingSpace map_space(const Group& group, const Isa& isa, bool fuse_rows) {
    TilingSpace space = {{"task", {1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072}}};
    const size_t results = group.body.results().size();
    const TensorType& type = group.body.type(group.body.results()[0].value);
    std::vector<int64_t> extents = memory_extents(type);
    if (type.batched) extents.push_back(group.batch);
    const auto first =
        std::find_if(extents.begin(), extents.end(), [](int64_t extent) { return extent > 1; });
    if (first == extents.end()) return space;
    const bool is_fused = fuse_rows && fuses_rows(extents);
    const int64_t row = *first * (is_fused ? extents[1] : 1);
    int64_t vectors = (row + kLanes - 1) / kLanes;  // side by side
    if (vectors == 1) {
        const auto next = std::find_if(first + (is_fused ? 2 : 1), extents.end(),
                                       [](int64_t extent) { return extent > 1; });
        if (next != extents.end()) vectors = *next;
    }
    std::vector<int> strips = {1};
    for (int strip = 2; strip <= vectors; strip *= 2) {
        if (!register_fault(isa, kLanes, strip * static_cast<int>(results)).empty()) break;
        strips.push_back(strip);
    }
    if (strips.size() > 1) space.push_back({"strip", strips, 0, -1, false, 1});
    return space;
}

MapOptions map_options(const Tiling& tiling, bool fuse_rows) {
    return {fuse_rows, tiling.at("task"), tiling.at("strip", 1)};
}

MapLoops schedule_map(Func func, const TensorType& type, int batch, const MapOptions& options) {
    std::vector<Loop> loops = loops_of(func, type, batch);
    if (loops.empty()) return {};
    std::vector<int64_t> extents;
    for (const Loop& loop : loops) extents.push_back(loop.extent);
    if (options.fuse_rows && fuses_rows(extents)) fuse_rows(func, loops);
    MapLoops result;
    if (element_limit(type, batch) >= 2 * options.task_elements) {
        result.is_parallel = cut_tasks(func, loops, options.task_elements);
    }
    const Var task = loops.back().var;
    size_t vector = 0;
    while (vector + 1 < loops.size() && loops[vector].extent == 1) vector++;
    if (loops[vector].extent > 1) {
        result.vector = *loops[vector].axes.begin();  // cut or not, it walks one coordinate
        const bool is_task = result.is_parallel && vector + 1 == loops.size();
        EMU_CHECK(!is_task, "a task of one element");
        split_loop(func, loops, vector, kLanes);
        func.vectorize(loops[vector].var);
        vector++;
        if (options.strip > 1) {
            const size_t inside = loops.size() - (result.is_parallel ? 1 : 0);  // a task
            unroll_strip(func, loops, vector, inside, options.strip);
        }
    }
    result.inner = loops[vector].var.name();
    for (size_t i = vector; i < loops.size(); i++)
        result.around.push_back({loops[i].var.name(), loops[i].axes});
    if (result.is_parallel) func.parallel(task);
    return result;
}

void vectorize_first(Func func, int extent) {
    if (func.args().empty() || extent == 1) return;
    const Var first = func.args()[0];
    func.bound_storage(first, to_int(round_up(extent, kLanes)));
    const TailStrategy tail =
        extent % kLanes == 0 ? TailStrategy::RoundUp : TailStrategy::GuardWithIf;
    func.vectorize(first, kLanes, tail);
    for (int i = 0; i < func.num_update_definitions(); i++) {
        func.update(i).vectorize(first, kLanes, TailStrategy::GuardWithIf);
    }
}

bool reads_own_position(const Group& group) {
    const TensorType& result = group.body.type(group.body.results()[0].value);
    for (const Node& node : group.body.nodes()) {
        const OpClass kind = node.op->op_class();
        if (kind != OpClass::source && kind != OpClass::pointwise) return false;
        for (const TensorType& type : node.types) {
            const bool is_constant = kind == OpClass::source && !type.batched && type.shape.empty();
            if (!is_constant && (type.shape != result.shape || type.batched != result.batched))
                return false;
        }
    }
    return true;
}

}  // namespace emulsion

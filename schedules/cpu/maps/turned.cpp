// Features that change their order between that of a map in memory and the plain one, maps that
// become others of as many elements, and shuffled channels.
//
// Where the elements f = a * inner + b of a result come from b * outer + a, squares of 16 by 16 are
// walked. Where neighbours come from a few distant places, or go to them, the loop over these
// places is unrolled inside the others: what lies side by side is loaded or stored at once, and
// shuffled in registers.
#include "schedules/cpu/maps/turned.h"

#include <algorithm>
#include <optional>

#include "compiler/graph/limits.h"
#include "compiler/ops/expand.h"
#include "compiler/ops/sources.h"
#include "compiler/ops/transpose.h"
#include "compiler/ops/unfactor.h"
#include "schedules/cpu/common/tiling.h"
#include "schedules/cpu/maps/map.h"

namespace emulsion {

using Halide::Func;
using Halide::TailStrategy;
using Halide::Var;

namespace {

constexpr int64_t kMostPlaces = 16;  // that are unrolled

TailStrategy tail_of(int64_t extent) {
    return extent % kLanes == 0 ? TailStrategy::RoundUp : TailStrategy::GuardWithIf;
}

// The only node of the group that is a T; -1 where there is none, or more than one.
template <class T>
int only(const Group& group) {
    int found = -1;
    for (int i = 0; i < static_cast<int>(group.body.nodes().size()); i++) {
        if (group.body.op_as<T>(i) == nullptr) continue;
        if (found >= 0) return -1;
        found = i;
    }
    return found;
}

const TensorType& result_type(const Group& group) {
    return group.body.type(group.body.results()[0].value);
}

// Whether one operand has an element for each of the result, and no other has more than one.
bool reads_one_map(const Group& group) {
    int maps = 0;
    for (const Node& node : group.body.nodes()) {
        if (node.op->op_class() != OpClass::source || node.types[0].shape.empty()) continue;
        if (element_count(node.types[0]) != element_count(result_type(group))) return false;
        maps++;
    }
    return maps == 1;
}

// Cuts the loops `lines`, the innermost first, into parallel tasks; a line has `elements`.
void cut_lines(Func func, std::vector<Var> lines, int64_t elements, const Group& group,
               int task_elements) {
    if (element_limit(result_type(group), group.batch) < 2 * int64_t{task_elements}) return;
    Var line = lines[0];
    for (size_t i = 1; i < lines.size(); i++) {
        const Var fused("lines" + std::to_string(i));
        func.fuse(line, lines[i], fused);
        line = fused;
    }
    const int64_t each = std::max<int64_t>(1, task_elements / elements);
    const Var task("task"), inside("inside");
    func.split(line, task, inside, to_int(each), TailStrategy::GuardWithIf).parallel(task);
}

// Features f = a * inner + b that come from b * (features / inner) + a, or go there: the number
// `inner`; 0 where a group has none.
int64_t turned_by(const Group& group) {
    for (const Node& node : group.body.nodes()) {
        const bool is_factor = dynamic_cast<const Factor*>(node.op.get()) != nullptr;
        if (!is_factor && dynamic_cast<const Unfactor*>(node.op.get()) == nullptr) continue;
        const TensorType& type = is_factor ? node.types[0] : group.body.type(node.inputs[0]);
        if (type.factors.empty()) continue;
        return is_factor ? type.factors[0] : type.factors[1] * type.factors[2];
    }
    return 0;
}

// Whether what is turned is a parameter, the same for every sample.
bool turns_parameter(const Group& group) {
    const int factor = only<Factor>(group);
    if (factor < 0 || only<Unfactor>(group) >= 0) return false;
    const int from = group.body.node(factor).inputs[0].node;
    return group.body.op_as<Expand>(from) != nullptr &&
           !group.body.type(group.body.node(from).inputs[0]).batched;
}

// Walks features (f, n), f = a * inner + b, in squares of 16 a by a vector of b; what is the same
// for all samples is read once for them.
void walk_squares(Func func, const Group& group, int64_t inner, int task_elements) {
    const TensorType& type = result_type(group);
    const Var f = func.args()[0], n = func.args()[1];
    const Var a("a"), b("b"), ao("ao"), ai("ai"), bo("bo"), bi("bi"), task("task");
    const int64_t outer = type.shape[0] / inner;
    func.split(f, a, b, to_int(inner), TailStrategy::RoundUp)
        .split(a, ao, ai, kLanes, tail_of(outer))
        .split(b, bo, bi, kLanes, tail_of(inner))
        .vectorize(bi);
    if (turns_parameter(group)) {
        func.reorder(bi, n, ai, bo, ao);
        cut_lines(func, {ao}, kLanes * inner * group.batch, group, task_elements);
        return;
    }
    func.reorder(bi, ai, bo, ao, n);
    if (element_limit(type, group.batch) >= 2 * int64_t{task_elements})
        func.fuse(ao, n, task).parallel(task);
}

// Of features in a map's order that come from another map's: these two maps.
struct Regrouped {
    int64_t channels, cells;            // of the result
    int64_t from_channels, from_cells;  // of what it is made of
};

std::optional<Regrouped> regrouped(const Group& group) {
    const int factor = only<Factor>(group);
    if (factor < 0 || only<Unfactor>(group) >= 0 || !reads_one_map(group)) return std::nullopt;
    const std::vector<int64_t>& from = group.body.type(group.body.node(factor).inputs[0]).factors;
    const std::vector<int64_t>& to = group.body.node(factor).types[0].factors;
    if (from.empty() || to.empty() || result_type(group).factors != to) return std::nullopt;
    return Regrouped{to[0], to[1] * to[2], from[0], from[1] * from[2]};
}

// Cells of the result are `places` times those of its operand: a cell of that has channels of as
// many cells, side by side.
void walk_scattered(Func func, const Regrouped& maps, const Group& group, int task_elements) {
    const Var f = func.args()[0], n = func.args()[1];
    const Var c("c"), cell("cell"), place("place"), co("co"), ci("ci"), run("run"), at("at");
    const int64_t places = maps.cells / maps.from_cells;
    const int64_t elements = maps.channels * places, cells = maps.from_cells;
    const int64_t each = std::clamp<int64_t>(task_elements / elements, 1, cells);
    func.split(f, cell, c, to_int(maps.channels), TailStrategy::RoundUp)
        .split(cell, place, cell, to_int(cells), TailStrategy::RoundUp)
        .split(cell, run, at, to_int(each), TailStrategy::GuardWithIf)
        .split(c, co, ci, kLanes, tail_of(maps.channels))
        .reorder(ci, place, co, at, run, n)
        .vectorize(ci)
        .unroll(place);
    cut_lines(func, {run, n}, each * elements, group, task_elements);
}

// The other way round.
void walk_gathered(Func func, const Regrouped& maps, const Group& group, int task_elements) {
    const Var f = func.args()[0], n = func.args()[1];
    const Var c("c"), cell("cell"), place("place"), co("co"), ci("ci"), run("run"), at("at");
    const int64_t places = maps.from_cells / maps.cells;
    const int64_t each = std::clamp<int64_t>(task_elements / maps.channels, 1, maps.cells);
    func.split(f, cell, c, to_int(maps.channels), TailStrategy::RoundUp)
        .split(cell, run, at, to_int(each), TailStrategy::GuardWithIf)
        .split(c, c, place, to_int(places), TailStrategy::RoundUp)
        .split(c, co, ci, kLanes, tail_of(maps.channels / places))
        .reorder(ci, place, co, at, run, n)
        .vectorize(ci)
        .unroll(place);
    cut_lines(func, {run, n}, each * maps.channels, group, task_elements);
}

bool schedule_regrouped(Func func, const Group& group, int task_elements) {
    const std::optional<Regrouped> maps = regrouped(group);
    if (!maps) return false;
    const auto are_places = [](int64_t many, int64_t few) {
        return many % few == 0 && many / few > 1 && many / few <= kMostPlaces;
    };
    if (are_places(maps->cells, maps->from_cells)) {
        walk_scattered(func, *maps, group, task_elements);
        return true;
    }
    if (are_places(maps->from_cells, maps->cells)) {
        walk_gathered(func, *maps, group, task_elements);
        return true;
    }
    return false;
}

// Rows of channels that are read column by column: a vector of each row, interleaved.
bool schedule_shuffled(Func func, const Group& group, int task_elements) {
    const int shuffle = only<ChannelShuffle>(group);
    if (shuffle < 0 || !reads_one_map(group)) return false;
    const TensorType& type = group.body.node(shuffle).types[0];
    const int64_t rows = group.body.op_as<ChannelShuffle>(shuffle)->groups;
    const int64_t columns = type.shape[0] / rows;
    if (result_type(group).shape != type.shape || columns % kLanes != 0 || rows == 1 ||
        rows > kMostPlaces)
        return false;
    const std::vector<Var> args = func.args();
    const Var column("column"), row("row"), co("co"), ci("ci");
    func.split(args[0], column, row, to_int(rows), TailStrategy::RoundUp)
        .split(column, co, ci, kLanes, TailStrategy::RoundUp);
    std::vector<Halide::VarOrRVar> order = {ci, row, co};
    order.insert(order.end(), args.begin() + 1, args.end());
    func.reorder(order).vectorize(ci).unroll(row);
    const size_t first = args.size() > 2 ? 2 : 1;  // outside a line of positions
    const int64_t line = type.shape[0] * (args.size() > 2 ? type.shape.back() : 1);
    cut_lines(func, {args.begin() + static_cast<std::ptrdiff_t>(first), args.end()}, line, group,
              task_elements);
    return true;
}

}  // namespace

bool schedule_turned(Func func, const Group& group, int task_elements) {
    const TensorType& type = result_type(group);
    if (group.body.results().size() != 1 || !type.batched || type.shape.empty()) return false;
    if (schedule_shuffled(func, group, task_elements)) return true;
    if (type.shape.size() != 1) return false;
    if (schedule_regrouped(func, group, task_elements)) return true;
    const int64_t inner = turned_by(group);
    if (inner <= 1 || inner >= type.shape[0]) return false;
    walk_squares(func, group, inner, task_elements);
    return true;
}

}  // namespace emulsion

// Folds over 16 logical lanes.
#include "schedules/cpu/sums/lanes.h"

#include "compiler/graph/limits.h"
#include "compiler/ops/strict.h"
#include "schedules/cpu/common/tiling.h"
#include "schedules/cpu/maps/map.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::TailStrategy;
using Halide::Var;

LaneFold::LaneFold(const std::string& name, const Expr& count, int limit,
                   const std::vector<Var>& outer, const Expr& start, const Step& step, int chains)
    : func_(name), chains_(chains) {
    const Var lane("lane");
    const int width = kLanes * chains;
    std::vector<Var> vars = {lane};
    vars.insert(vars.end(), outer.begin(), outer.end());
    const auto fixed = Halide::Internal::as_const_int(count);
    const Expr rounds =
        fixed ? Expr(divide_up(to_int(*fixed), width)) : (count + width - 1) / width;
    Halide::RDom r(0, limit <= width ? 1 : rounds, name + "_r");
    Expr element = r * width + lane;
    if (!fixed || *fixed % width != 0) {
        r.where(element < count);
        element =
            Halide::min(element, count - 1);  // keeps what is read for it inside, too; folds away
    }
    func_(vars) = start;
    // The clamp changes nothing: it tells Halide how far elements are read where it cannot derive
    // that.
    func_(vars) = step(func_(vars), fixed ? element : Halide::min(element, count - 1));
}

namespace {

// Neighbours are joined until one is left. REQUIRES: as many values as a power of two.
Expr join_tree(std::vector<Expr> values, const LaneFold::Join& join) {
    for (size_t width = values.size() / 2; width > 0; width /= 2) {
        for (size_t i = 0; i < width; i++) values[i] = join(values[2 * i], values[2 * i + 1]);
    }
    return values[0];
}

}  // namespace

Expr LaneFold::join(const std::vector<Expr>& outer, const Join& join) {
    Func lanes = func_;
    if (chains_ > 1) {
        const std::vector<Var> vars = func_.args();
        std::vector<Expr> chains, at = {vars.begin(), vars.end()};
        for (int k = 0; k < chains_; k++) {
            at[0] = vars[0] + k * kLanes;
            chains.emplace_back(func_(at));
        }
        vector_ = Func(func_.name() + "_vector");
        vector_(vars) = join_tree(chains, join);
        lanes = vector_;
    }
    std::vector<Expr> values;
    for (int lane = 0; lane < kLanes; lane++) {
        std::vector<Expr> at = {lane};
        at.insert(at.end(), outer.begin(), outer.end());
        values.emplace_back(lanes(at));
    }
    return join_tree(values, join);
}

void LaneFold::vectorize() {
    const Var lane = func_.args()[0];
    func_.bound_extent(lane, kLanes * chains_).vectorize(lane, kLanes, TailStrategy::RoundUp);
    if (!vector_.defined()) {
        func_.update().vectorize(lane, kLanes, TailStrategy::RoundUp);
        return;
    }
    const Var chain("chain"), inner("inner");
    func_.update()
        .split(lane, chain, inner, kLanes, TailStrategy::RoundUp)
        .reorder(inner, chain, func_.rvars()[0])
        .vectorize(inner)
        .unroll(chain);
    vector_.bound_extent(lane, kLanes).vectorize(lane, kLanes, TailStrategy::RoundUp);
}

void LaneFold::compute_at(const Halide::LoopLevel& level) {
    func_.compute_at(level);
    if (vector_.defined()) vector_.compute_at(level);
    vectorize();
}

void LaneFold::compute_root() {
    func_.compute_root();
    if (vector_.defined()) vector_.compute_root();
    vectorize();
}

Expr strict_sum(const Expr& a, const Expr& b) { return Strict(a) + Strict(b); }
Expr strict_max(const Expr& a, const Expr& b) { return choose(Strict(a) > Strict(b), a, b); }

}  // namespace emulsion

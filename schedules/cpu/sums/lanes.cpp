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
                   const std::vector<Var>& outer, const Expr& start, const Step& step)
    : func_(name) {
    const Var lane("lane");
    std::vector<Var> vars = {lane};
    vars.insert(vars.end(), outer.begin(), outer.end());
    const auto fixed = Halide::Internal::as_const_int(count);
    const Expr rounds =
        fixed ? Expr(divide_up(to_int(*fixed), kLanes)) : (count + kLanes - 1) / kLanes;
    Halide::RDom r(0, limit <= kLanes ? 1 : rounds, name + "_r");
    Expr element = r * kLanes + lane;
    if (!fixed || *fixed % kLanes != 0) {
        r.where(element < count);
        element =
            Halide::min(element, count - 1);  // keeps what is read for it inside, too; folds away
    }
    func_(vars) = start;
    // The clamp changes nothing: it tells Halide how far elements are read where it cannot derive
    // that.
    func_(vars) = step(func_(vars), fixed ? element : Halide::min(element, count - 1));
}

Expr LaneFold::join(const std::vector<Expr>& outer, const Join& join) const {
    std::vector<Expr> values;
    for (int lane = 0; lane < kLanes; lane++) {
        std::vector<Expr> at = {lane};
        at.insert(at.end(), outer.begin(), outer.end());
        values.push_back(func_(at));
    }
    for (size_t width = values.size() / 2; width > 0; width /= 2) {
        for (size_t i = 0; i < width; i++) values[i] = join(values[2 * i], values[2 * i + 1]);
    }
    return values[0];
}

void LaneFold::vectorize() {
    const Var lane = func_.args()[0];
    func_.bound_extent(lane, kLanes).vectorize(lane, kLanes, TailStrategy::RoundUp);
    func_.update().vectorize(lane, kLanes, TailStrategy::RoundUp);
}

void LaneFold::compute_at(const Halide::LoopLevel& level) {
    func_.compute_at(level);
    vectorize();
}

void LaneFold::compute_root() {
    func_.compute_root();
    vectorize();
}

Expr strict_sum(const Expr& a, const Expr& b) { return Strict(a) + Strict(b); }
Expr strict_max(const Expr& a, const Expr& b) { return choose(Strict(a) > Strict(b), a, b); }

}  // namespace emulsion

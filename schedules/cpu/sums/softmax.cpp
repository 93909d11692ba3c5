// Rows of a softmax.
//
//     parallel task of rows; for row n of it:
//       scores[c]                    the row, prologue applied
//       top, powers[c], sum, place   maximum, e^(score - maximum), their sum, the first class of
//                                    the maximum
//       result
//
// A row of more than kStagedClasses is not copied: its scores and powers are computed where they
// are read, and their sum goes block by block of as many classes, the blocks in order.
#include "schedules/cpu/sums/softmax.h"

#include <limits>
#include <optional>

#include "compiler/graph/limits.h"
#include "compiler/ops/softmax.h"
#include "compiler/ops/softmax_cross_entropy.h"
#include "compiler/ops/strict.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/anchor.h"
#include "schedules/cpu/common/tiling.h"
#include "schedules/cpu/maps/map.h"
#include "schedules/cpu/sums/lanes.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::TailStrategy;
using Halide::Tuple;
using Halide::Var;

namespace {

constexpr int kStagedClasses = 4096;  // a row and its exponentials stay in the first cache

// What is known of a row. All Funcs are computed once a row.
class Row {
  public:
    Row(const Func& input, int classes) : classes_(classes) {
        scores_(c_, n_) = input(c_, n_);
        folds_.emplace_back(
            "top_lanes", classes, classes, std::vector<Var>{n_}, -std::numeric_limits<float>::max(),
            [&](const Expr& old, const Expr& i) { return strict_max(old, scores_(i, n_)); });
        top_(n_) = folds_.back().join({n_}, strict_max);
    }
    Expr score(const Expr& c, const Expr& n) const { return scores_(c, n); }
    Expr top(const Expr& n) const { return top_(n); }
    Expr power(const Expr& c, const Expr& n) {
        define_powers();
        return powers_(c, n);
    }
    Expr sum(const Expr& n) {
        define_powers();
        return sum_(n);
    }
    // The first class with the largest score.
    Expr place(const Expr& n) {
        folds_.emplace_back("place_lanes", classes_, classes_, std::vector<Var>{n_}, classes_,
                            [&](const Expr& old, const Expr& i) {
                                const Expr is_top = scores_(i, n_) == top_(n_);
                                return Halide::min(old, Halide::select(is_top, i, classes_));
                            });
        return folds_.back().join({n},
                                  [](const Expr& a, const Expr& b) { return Halide::min(a, b); });
    }
    void schedule(const Func& out, const Var& row) {
        if (is_staged()) stage(scores_, out, row);
        top_.compute_at(out, row);
        if (powers_.defined()) {
            if (is_staged()) stage(powers_, out, row);
            sum_.compute_at(out, row);
        }
        for (LaneFold& fold : folds_) fold.compute_at({out, row});
        if (blocks_) blocks_->compute_at({sum_, sum_.rvars()[0]});
    }

  private:
    bool is_staged() const { return classes_ <= kStagedClasses; }
    void define_powers() {
        if (powers_.defined()) return;
        powers_(c_, n_) = exp_f32(Strict(scores_(c_, n_)) - Strict(top_(n_)));
        if (is_staged()) {
            folds_.emplace_back(
                "sum_lanes", classes_, classes_, std::vector<Var>{n_}, 0.0F,
                [&](const Expr& old, const Expr& i) { return strict_sum(old, powers_(i, n_)); });
            sum_(n_) = folds_.back().join({n_}, strict_sum);
            return;
        }
        const Var b("b");
        blocks_.emplace("sum_lanes", kStagedClasses, kStagedClasses, std::vector<Var>{b, n_}, 0.0F,
                        [&](const Expr& old, const Expr& i) {
                            const Expr c = b * kStagedClasses + i;
                            const Expr power = powers_(Halide::min(c, classes_ - 1), n_);
                            return strict_sum(old, Halide::select(c < classes_, power, 0.0F));
                        });
        const Halide::RDom r(0, divide_up(classes_, kStagedClasses), "sum_blocks");
        sum_(n_) = 0.0F;
        sum_(n_) = strict_sum(sum_(n_), blocks_->join({r, n_}, strict_sum));
    }
    void stage(Func func, const Func& out, const Var& row) const {
        func.compute_at(out, row).bound_storage(c_, to_int(round_up(classes_, kLanes)));
        func.vectorize(c_, kLanes,
                       classes_ % kLanes == 0 ? TailStrategy::RoundUp : TailStrategy::GuardWithIf);
    }

    int classes_;
    Var c_{"c"}, n_{"n"};
    Func scores_{"scores"}, top_{"top"}, powers_{"powers"}, sum_{"sum"};
    std::vector<LaneFold> folds_;
    std::optional<LaneFold> blocks_;  // of the sum of a row that is not staged
};

Func result_of(const KernelContext& context, Row& row, int classes) {
    const Var c("c"), n("n");
    Func result("result");
    if (anchor_as<Softmax>(context.group()) != nullptr) {
        result(c, n) = Strict(row.power(c, n)) / Strict(row.sum(n));
        return result;
    }
    const Expr label = context.operand(1)(n);
    if (anchor_as<SoftmaxCrossEntropy>(context.group()) != nullptr) {
        const Strict score(row.score(Halide::clamp(label, 0, classes - 1), n));
        result(n) = Tuple(Strict(log_f32(row.sum(n))) + (Strict(row.top(n)) - score),
                          Halide::select(row.place(n) == label, 1.0F, 0.0F));
        return result;
    }
    const Strict target(Halide::select(c == label, 1.0F, 0.0F));
    result(c, n) =
        (Strict(row.power(c, n)) / Strict(row.sum(n)) - target) * Strict(context.operand(2)(n));
    return result;
}

}  // namespace

bool SoftmaxRows::applies(const Group& group, const Isa&) const {
    if (anchor_as<Softmax>(group) == nullptr && anchor_as<SoftmaxCrossEntropy>(group) == nullptr &&
        anchor_as<SoftmaxCrossEntropyBackward>(group) == nullptr)
        return false;
    const TensorType& result = group.body.type(group.body.results()[0].value);
    return result.shape == group.anchor_output().shape;
}

TilingSpace SoftmaxRows::space(const Group&, const Isa&) const {
    return {{"rows", {}, 1, kStagedClasses}};
}

std::vector<Tiling> SoftmaxRows::tilings(const Group& group, const Isa&) const {
    const int64_t rows = std::max<int64_t>(1, kStagedClasses / group.anchor_input(0).shape[0]);
    return {{{{"rows", to_int(rows)}}}};
}

// About 40 operations of each class, four passes over a row.
double SoftmaxRows::cost(const Group& group, const Tiling&, const Isa& isa,
                         const Machine& machine) const {
    const double classes = static_cast<double>(round_up(group.anchor_input(0).shape[0], kLanes));
    return 1e-6 + roofline(machine, isa, 20 * classes * group.batch, 0.5, traffic_bytes(group),
                           group.batch);
}

std::vector<Func> SoftmaxRows::build(KernelContext& context, const Tiling& tiling) const {
    const Group& group = context.group();
    const int classes = to_int(group.anchor_input(0).shape[0]), rows = tiling.at("rows");
    Row row(context.operand(0), classes);
    Func out = context.finish(result_of(context, row, classes));
    const Var n = out.args().back(), outer("no"), inner("ni");
    const bool is_parallel = group.batch >= 2 * rows;
    if (is_parallel) out.split(n, outer, inner, rows, TailStrategy::GuardWithIf).parallel(outer);
    if (out.dimensions() == 2) out.vectorize(out.args()[0], kLanes, TailStrategy::GuardWithIf);
    row.schedule(out, is_parallel ? inner : n);
    return {out};
}

}  // namespace emulsion

// Lanes, their trees, and the results of a row.
#include "schedules/gpu/sums/gpu_softmax.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>

#include "compiler/graph/limits.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/softmax.h"
#include "compiler/ops/softmax_cross_entropy.h"
#include "compiler/ops/strict.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/anchor.h"
#include "schedules/common/funcs.h"
#include "schedules/common/group_work.h"
#include "schedules/gpu/common/elements.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Tuple;
using Halide::Var;

namespace {

constexpr int kMostLanes = 128;  // the threads that every device has for a block
constexpr int kJoined = 8;       // values that one thread joins at a level of a tree

int lanes_of(int classes) {
    return static_cast<int>(std::bit_ceil(static_cast<unsigned>(std::min(classes, kMostLanes))));
}

// One value of each row, folded from all its classes.
class RowFold {
  public:
    using Join = std::function<Expr(const Expr&, const Expr&)>;

    // `value` of class i joins what is folded so far.
    RowFold(const std::string& name, int classes, const Expr& start, const Join& join,
            const std::function<Expr(const Expr& i, const Expr& n)>& value) {
        int lanes = lanes_of(classes);
        Func folded(name + "_lanes");
        const RDom r(0, divide_up(classes, lanes), name + "_r");
        const Expr i = r * lanes + u_;
        folded(u_, n_) = start;
        folded(u_, n_) =
            join(folded(u_, n_),
                 Halide::select(i < classes, value(Halide::min(i, classes - 1), n_), start));
        add(folded, lanes);
        while (lanes > 1) {
            const int joined = std::min(lanes, kJoined);
            std::vector<Expr> terms;
            for (int k = 0; k < joined; k++) terms.push_back(folded(u_ * joined + k, n_));
            while (terms.size() > 1) {  // a power of two
                for (size_t k = 0; k < terms.size() / 2; k++)
                    terms[k] = join(terms[2 * k], terms[2 * k + 1]);
                terms.resize(terms.size() / 2);
            }
            lanes = divide_up(lanes, joined);
            folded = Func(name + "_level");
            folded(u_, n_) = terms[0];
            add(folded, lanes);
        }
    }

    Expr of(const Expr& n) const { return levels_.back()(0, n); }

    void schedule(const Func& out, const Var& block) {
        for (size_t k = 0; k < levels_.size(); k++) {
            levels_[k]
                .compute_at(out, block)
                .store_in(Halide::MemoryType::GPUShared)
                .bound_extent(u_, extents_[k])
                .gpu_threads(u_);
            if (levels_[k].has_update_definition()) levels_[k].update().gpu_threads(u_);
        }
    }

  private:
    void add(const Func& level, int extent) {
        levels_.push_back(level);
        extents_.push_back(extent);
    }

    Var u_{"u"}, n_{"n"};
    std::vector<Func> levels_;
    std::vector<int> extents_;
};

// What is known of a row.
struct Row {
    Func scores;
    RowFold top, sum, place;  // the last: the first class with the largest score

    Row(const Func& input, int classes)
        : scores(input),
          top(
              "top", classes, -std::numeric_limits<float>::max(),
              [](const Expr& a, const Expr& b) { return Halide::max(a, b); },
              [&](const Expr& c, const Expr& n) { return Expr(scores(c, n)); }),
          sum(
              "sum", classes, 0.0F,
              [](const Expr& a, const Expr& b) { return Expr(Strict(a) + Strict(b)); },
              [&](const Expr& c, const Expr& n) { return power(c, n); }),
          place(
              "place", classes, classes,
              [](const Expr& a, const Expr& b) { return Halide::min(a, b); },
              [&](const Expr& c, const Expr& n) {
                  return Halide::select(scores(c, n) == top.of(n), c, classes);
              }) {}

    Expr power(const Expr& c, const Expr& n) const {
        return exp_f32(Strict(Expr(scores(c, n))) - Strict(top.of(n)));
    }
};

Func result_of(const KernelContext& context, const Row& row, int classes) {
    const Var c("c"), n("n");
    Func result("result");
    if (anchor_as<Softmax>(context.group()) != nullptr) {
        result(c, n) = Strict(row.power(c, n)) / Strict(row.sum.of(n));
        return result;
    }
    const Expr label = context.operand(1)(n);
    if (anchor_as<SoftmaxCrossEntropy>(context.group()) != nullptr) {
        const Strict score(Expr(row.scores(Halide::clamp(label, 0, classes - 1), n)));
        result(n) = Tuple(Strict(log_f32(row.sum.of(n))) + (Strict(row.top.of(n)) - score),
                          Halide::select(row.place.of(n) == label, 1.0F, 0.0F));
        return result;
    }
    const Strict target(Halide::select(c == label, 1.0F, 0.0F));
    result(c, n) = (Strict(row.power(c, n)) / Strict(row.sum.of(n)) - target) *
                   Strict(Expr(context.operand(2)(n)));
    return result;
}

// Blocks of one row; returns the loop over them.
Var schedule_rows(Func out, int lanes) {
    const Var row("row"), thread("thread"), round("round");
    if (out.dimensions() == 1) {
        out.split(out.args()[0], row, thread, 1).gpu_blocks(row).gpu_threads(thread);
        return row;
    }
    const Var c = out.args()[0], n = out.args()[1];
    out.split(c, round, thread, lanes, Halide::TailStrategy::GuardWithIf)
        .reorder(round, thread, n)
        .gpu_threads(thread)
        .gpu_blocks(n);
    return n;
}

}  // namespace

bool GpuSoftmax::applies(const Group& group, const Isa&) const {
    if (anchor_as<Softmax>(group) == nullptr && anchor_as<SoftmaxCrossEntropy>(group) == nullptr &&
        anchor_as<SoftmaxCrossEntropyBackward>(group) == nullptr)
        return false;
    const TensorType& result = group.body.type(group.body.results()[0].value);
    return has_one_shape(group) && result.shape == group.anchor_output().shape;
}

std::vector<Tiling> GpuSoftmax::tilings(const Group&, const Isa&) const { return {{}}; }

double GpuSoftmax::cost(const Group& group, const Tiling&, const Isa&, const Machine&) const {
    return device_seconds(1, traffic_bytes(group));
}

std::vector<Func> GpuSoftmax::build(KernelContext& context, const Tiling&) const {
    const int classes = to_int(context.group().anchor_input(0).shape[0]);
    Row row(context.operand(0), classes);
    Func values = context.finish(result_of(context, row, classes)), out = values;
    if (values.outputs() > 1) out = stored_copy(values, "stored");
    const Var block = schedule_rows(out, lanes_of(classes));
    if (values.outputs() > 1) values.compute_at(out, Var("thread"));
    row.top.schedule(out, block);
    row.sum.schedule(out, block);
    row.place.schedule(out, block);
    return {out};
}

}  // namespace emulsion

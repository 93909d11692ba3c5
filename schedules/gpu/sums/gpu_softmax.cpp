// Lanes, their trees, and the results of a row.
#include "schedules/gpu/sums/gpu_softmax.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>
#include <map>

#include "compiler/graph/limits.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/softmax_rows.h"
#include "compiler/ops/strict.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/anchor.h"
#include "schedules/common/funcs.h"
#include "schedules/common/group_work.h"
#include "schedules/common/softmax_result.h"
#include "schedules/gpu/common/elements.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
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
    RowFold(const std::string& name, const SoftmaxRow& row, const Expr& start, const Join& join,
            const SoftmaxRow::ValueOfClass& value)
        : position_(row.position()) {
        const int classes = row.classes();
        int lanes = lanes_of(classes);
        Func folded(name + "_lanes");
        const RDom r(0, divide_up(classes, lanes), name + "_r");
        const Expr i = r * lanes + u_;
        folded(with_lane()) = start;
        folded(with_lane()) = join(
            at(folded, u_), Halide::select(i < classes, value(Halide::min(i, classes - 1)), start));
        add(folded, lanes);
        while (lanes > 1) {
            const int joined = std::min(lanes, kJoined);
            std::vector<Expr> terms;
            for (int k = 0; k < joined; k++) terms.push_back(at(folded, u_ * joined + k));
            while (terms.size() > 1) {  // a power of two
                for (size_t k = 0; k < terms.size() / 2; k++)
                    terms[k] = join(terms[2 * k], terms[2 * k + 1]);
                terms.resize(terms.size() / 2);
            }
            lanes = divide_up(lanes, joined);
            folded = Func(name + "_level");
            folded(with_lane()) = terms[0];
            add(folded, lanes);
        }
    }

    Expr value() const { return at(levels_.back(), 0); }

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
    std::vector<Var> with_lane() const {
        std::vector<Var> vars = position_;
        vars.insert(vars.begin(), u_);
        return vars;
    }
    Expr at(const Func& level, const Expr& lane) const {
        std::vector<Expr> position = as_exprs(position_);
        position.insert(position.begin(), lane);
        return level(position);
    }

    Var u_{"u"};
    std::vector<Var> position_;
    std::vector<Func> levels_;
    std::vector<int> extents_;
};

// Folds are made when they are asked for.
class BlockRow : public SoftmaxRow {
  public:
    BlockRow(Func scores, int classes, const std::vector<Var>& position)
        : SoftmaxRow(classes, position), scores_(std::move(scores)) {}
    Expr score(const Expr& c) override { return of_class(scores_, c); }
    Expr top() override {
        return fold(
            "top", -std::numeric_limits<float>::max(),
            [](const Expr& a, const Expr& b) { return Halide::max(a, b); },
            [&](const Expr& c) { return score(c); });
    }
    Expr power(const Expr& c) override { return exp_f32(Strict(score(c)) - Strict(top())); }
    Expr sum() override {
        return total("sum", [&](const Expr& c) { return power(c); });
    }
    Expr place() override {
        return fold(
            "place", classes(), [](const Expr& a, const Expr& b) { return Halide::min(a, b); },
            [&](const Expr& c) { return Halide::select(score(c) == top(), c, classes()); });
    }
    Expr total(const std::string& name, const ValueOfClass& value) override {
        return fold(
            name, 0.0F, [](const Expr& a, const Expr& b) { return Expr(Strict(a) + Strict(b)); },
            value);
    }
    void schedule(const Func& out, const Var& block) {
        for (auto& [name, each] : folds_) each.schedule(out, block);
    }

  private:
    Expr fold(const std::string& name, const Expr& start, const RowFold::Join& join,
              const ValueOfClass& value) {
        if (const auto found = folds_.find(name); found != folds_.end())
            return found->second.value();
        const RowFold made(name, *this, start, join, value);
        return folds_.emplace(name, made).first->second.value();
    }

    Func scores_;
    std::map<std::string, RowFold> folds_;
};

// Blocks of one row; returns the innermost loop over them.
Var schedule_rows(Func out, size_t position, int lanes) {
    const Var row("row"), thread("thread"), round("round");
    const std::vector<Var> args = out.args();
    if (args.size() == position) {
        out.split(args[0], row, thread, 1).gpu_blocks(row).gpu_threads(thread);
        return row;
    }
    std::vector<Halide::VarOrRVar> order = {round, thread};
    order.insert(order.end(), args.begin() + 1, args.end());
    out.split(args[0], round, thread, lanes, Halide::TailStrategy::GuardWithIf)
        .reorder(order)
        .gpu_threads(thread);
    switch (position) {
        case 1:
            out.gpu_blocks(args[1]);
            break;
        case 2:
            out.gpu_blocks(args[1], args[2]);
            break;
        default:
            out.gpu_blocks(args[1], args[2], args[3]);
    }
    return args[1];
}

}  // namespace

bool GpuSoftmax::applies(const Group& group, const Isa&) const {
    if (anchor_as<SoftmaxOp>(group) == nullptr) return false;
    const TensorType& result = group.body.type(group.body.results()[0].value);
    return has_one_shape(group) && result.shape == group.anchor_output().shape;
}

std::vector<Tiling> GpuSoftmax::tilings(const Group&, const Isa&) const { return {{}}; }

double GpuSoftmax::cost(const Group& group, const Tiling&, const Isa&, const Machine&) const {
    return device_seconds(1, traffic_bytes(group));
}

std::vector<Func> GpuSoftmax::build(KernelContext& context, const Tiling&) const {
    const TensorType& scores = context.group().anchor_input(0);
    const std::vector<Var> position = row_position(coordinates(scores));
    BlockRow row(context.operand(0), to_int(scores.shape[0]), position);
    Func values = context.finish(softmax_result(context, row)), out = values;
    if (values.outputs() > 1) out = stored_copy(values, "stored");
    const bool has_classes = context.group().anchor_output().shape == scores.shape;
    const Var block =
        schedule_rows(out, position.size(), has_classes ? lanes_of(row.classes()) : 1);
    if (values.outputs() > 1) values.compute_at(out, Var("thread"));
    row.schedule(out, block);
    return {out};
}

}  // namespace emulsion

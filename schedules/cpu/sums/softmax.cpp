// Rows of a softmax, one a sample or one a pixel.
//
//     parallel task of rows; for each row of it:
//       scores[c]                    the row, prologue applied
//       top, powers[c], sum, place   maximum, e^(score - maximum), their sum, the first class of
//                                    the maximum; and whatever else an op sums over the classes
//       result
//
// A row of more than kStagedClasses is not copied: its scores and powers are computed where they
// are read, and sums go block by block of as many classes, the blocks in order.
#include "schedules/cpu/sums/softmax.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "compiler/graph/limits.h"
#include "compiler/ops/softmax_rows.h"
#include "compiler/ops/strict.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/anchor.h"
#include "schedules/common/softmax_result.h"
#include "schedules/cpu/common/tiling.h"
#include "schedules/cpu/maps/map.h"
#include "schedules/cpu/sums/lanes.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RVar;
using Halide::TailStrategy;
using Halide::Var;

namespace {

constexpr int kStagedClasses = 4096;  // a row and its exponentials stay in the first cache

constexpr int kChainedClasses = 256, kChains = 4;  // rows of more have sums of several vectors

constexpr int kPixelClasses = 64;  // as many of 16 pixels stay there, too

// What both kinds of rows have. The inverse of the sum is one for all classes.
class ScheduledRow : public SoftmaxRow {
  public:
    using SoftmaxRow::SoftmaxRow;
    Expr probability(const Expr& c) override {
        if (!inverse_.defined()) inverse_(position()) = Strict(1.0F) / Strict(sum());
        return Strict(power(c)) * Strict(of_row(inverse_));
    }
    Expr constant(const std::vector<double>& values, const Expr& c) override {
        const Var k("k");
        Func table("table" + std::to_string(tables_.size()));
        table(k) = choose_value(values, k);
        tables_.push_back(table);
        return table(c);
    }

  protected:
    std::vector<Expr> here() const { return as_exprs(position()); }
    std::vector<Var> with_first(const Var& first) const {
        std::vector<Var> vars = {first};
        vars.insert(vars.end(), position().begin(), position().end());
        return vars;
    }
    std::vector<Expr> with_first(const Expr& first) const {
        std::vector<Expr> at = here();
        at.insert(at.begin(), first);
        return at;
    }
    void schedule_tables() {
        for (Func& table : tables_) vectorize_first(table.compute_root(), classes());
    }
    Func inverse_{"inverse"};  // undefined where nothing asks for it

  private:
    std::vector<Func> tables_;
};

// Rows of few classes: vectors of 16 pixels, each of which folds its own classes in order.
class PixelRow : public ScheduledRow {
  public:
    PixelRow(const Func& input, int classes, const std::vector<Var>& position)
        : ScheduledRow(classes, position), r_(0, classes, "r") {
        scores_(with_first(c_)) = of_class(input, c_);
        top_ = fold("top", -std::numeric_limits<float>::max(),
                    [&](const Expr& old, const Expr& i) { return strict_max(old, score(i)); });
    }
    Expr score(const Expr& c) override { return of_class(scores_, c); }
    Expr top() override { return of_row(top_); }
    Expr power(const Expr& c) override {
        if (!powers_.defined())
            powers_(with_first(c_)) = exp_f32(Strict(score(c_)) - Strict(top()));
        return of_class(powers_, c);
    }
    Expr sum() override {
        if (!sum_) sum_ = total("sum", [&](const Expr& c) { return power(c); });
        return *sum_;
    }
    Expr place() override {
        return of_row(fold("place", classes(), [&](const Expr& old, const Expr& i) {
            return Halide::min(old, Halide::select(score(i) == top(), i, classes()));
        }));
    }
    Expr total(const std::string& name, const ValueOfClass& value) override {
        return of_row(fold(
            name, 0.0F, [&](const Expr& old, const Expr& i) { return strict_sum(old, value(i)); }));
    }
    // `pixel` is the loop over the pixels of a line of `out`.
    void schedule(Func out, const Var& pixel) {
        const Var outer("xo"), inner("xi");
        out.split(pixel, outer, inner, kLanes, TailStrategy::GuardWithIf)
            .reorder(inner, out.args()[0], outer)
            .vectorize(inner);
        compute(scores_, out, outer);
        if (powers_.defined()) compute(powers_, out, outer);
        if (inverse_.defined()) compute(inverse_, out, outer);
        for (Func& each : folds_) compute(each, out, outer);
        schedule_tables();
    }

  private:
    using Step = std::function<Expr(const Expr& old, const Expr& i)>;
    Func fold(const std::string& name, const Expr& start, const Step& step) {
        Func result(name);
        result(position()) = start;
        result(position()) = step(of_row(result), r_);
        folds_.push_back(result);
        return result;
    }
    void compute(Func func, const Func& out, const Var& outer) {
        const Var x = position()[0], vector("vector");
        func.compute_at(out, outer).bound_storage(x, kLanes);
        if (func.dimensions() > static_cast<int>(position().size()))
            func.reorder_storage(x, c_).bound_extent(c_, classes());
        func.split(x, x, vector, kLanes, TailStrategy::GuardWithIf).vectorize(vector);
        if (func.dimensions() > static_cast<int>(position().size())) func.reorder(vector, c_, x);
        if (!func.has_update_definition()) return;
        func.update()
            .split(x, x, vector, kLanes, TailStrategy::GuardWithIf)
            .reorder(vector, r_.x, x)
            .vectorize(vector);
    }

    Var c_{"c"};
    Halide::RDom r_;
    Func scores_{"scores"}, top_, powers_{"powers"};
    std::optional<Expr> sum_;
    std::vector<Func> folds_;
};

// All Funcs but tables are computed once a row.
class StagedRow : public ScheduledRow {
  public:
    StagedRow(const Func& input, int classes, const std::vector<Var>& position)
        : ScheduledRow(classes, position),
          scored_(0, classes, "scored"),
          behind_(classes, std::max(1, padded() - classes), "behind") {
        constexpr float kLeast = -std::numeric_limits<float>::max();
        if (padded() == classes) {
            scores_(with_first(c_)) = of_class(input, c_);
        } else {
            scores_(with_first(c_)) = Halide::undef<float>();
            scores_(with_first(scored_)) = of_class(input, scored_);
            scores_(with_first(behind_)) = kLeast;
        }
        top_(position) =
            fold("top_lanes", padded(), kLeast, strict_max,
                 [&](const Expr& old, const Expr& i) { return strict_max(old, score(i)); });
    }
    Expr score(const Expr& c) override { return of_class(scores_, c); }
    Expr top() override { return of_row(top_); }
    Expr power(const Expr& c) override {
        if (!powers_.defined()) {
            const Expr each = exp_f32(Strict(score(c_)) - Strict(top()));
            powers_(with_first(c_)) = each;
            if (padded() > classes()) powers_(with_first(behind_)) = 0.0F;
        }
        return of_class(powers_, c);
    }
    Expr sum() override {
        if (!sum_) sum_ = total_of(padded(), "sum", [&](const Expr& c) { return power(c); });
        return *sum_;
    }
    Expr place() override {
        return fold(
            "place_lanes", padded(), classes(),
            [](const Expr& a, const Expr& b) { return Halide::min(a, b); },
            [&](const Expr& old, const Expr& i) {
                return Halide::min(old, Halide::select(score(i) == top(), i, classes()));
            });
    }
    Expr total(const std::string& name, const ValueOfClass& value) override {
        return total_of(classes(), name, value);
    }
    void schedule(const Func& out, const Var& row) {
        if (is_staged()) stage(scores_, out, row);
        if (is_staged() && powers_.defined()) stage(powers_, out, row);
        top_.compute_at(out, row);
        for (Func& total : totals_) total.compute_at(out, row);
        for (LaneFold& each : folds_) each.compute_at({out, row});
        for (auto& [total, blocks] : blocks_) blocks.compute_at({total, total.rvars()[0]});
        if (inverse_.defined()) inverse_.compute_at(out, row);
        schedule_tables();
    }

  private:
    bool is_staged() const { return classes() <= kStagedClasses; }
    // Vectors of classes that are folded side by side.
    int chains() const { return classes() < kChainedClasses ? 1 : kChains; }
    // Classes of a row in scratch, whole vectors; those behind the last one are no score and add
    // nothing.
    int padded() const {
        return is_staged() ? to_int(round_up(classes(), kLanes * chains())) : classes();
    }
    // The sum of `value` over the first `count` classes.
    Expr total_of(int count, const std::string& name, const ValueOfClass& value) {
        Func total(name);
        if (is_staged()) {
            total(position()) =
                fold(name + "_lanes", count, 0.0F, strict_sum,
                     [&](const Expr& old, const Expr& i) { return strict_sum(old, value(i)); });
        } else {
            add_blocks(total, value);
        }
        totals_.push_back(total);
        return of_row(total);
    }
    Expr fold(const std::string& name, int count, const Expr& start, const LaneFold::Join& join,
              const LaneFold::Step& step) {
        const int side_by_side = count % (kLanes * chains()) == 0 ? chains() : 1;
        LaneFold lanes(name, count, count, position(), start, step, side_by_side);
        const Expr joined = lanes.join(here(), join);
        folds_.push_back(lanes);
        return joined;
    }
    // The sum of a row that is not staged.
    void add_blocks(Func total, const ValueOfClass& value) {
        const Var b("b");
        const std::string name = total.name();
        LaneFold lanes(
            name + "_lanes", kStagedClasses, kStagedClasses, with_first(b), 0.0F,
            [&](const Expr& old, const Expr& i) {
                const Expr c = b * kStagedClasses + i;
                const Expr each = value(Halide::min(c, classes() - 1));
                return strict_sum(old, Halide::select(c < classes(), each, 0.0F));
            },
            chains());
        const Halide::RDom r(0, divide_up(classes(), kStagedClasses), name + "_blocks");
        std::vector<Expr> block = here();
        block.insert(block.begin(), r);
        total(position()) = 0.0F;
        total(position()) = strict_sum(of_row(total), lanes.join(block, strict_sum));
        blocks_.emplace_back(total, lanes);
    }
    void stage(Func func, const Func& out, const Var& row) const {
        func.compute_at(out, row).bound_extent(c_, padded());
        func.vectorize(c_, kLanes, TailStrategy::RoundUp);
        for (int i = 0; i < func.num_update_definitions(); i++) {
            const RVar vector("vector"), element("element");
            func.update(i)
                .split(func.rvars(i)[0], vector, element, kLanes, TailStrategy::GuardWithIf)
                .vectorize(element);
        }
    }

    Var c_{"c"};
    Halide::RDom scored_, behind_;  // the classes of a row, and what lies behind them in scratch
    Func scores_{"scores"}, top_{"top"}, powers_{"powers"};
    std::optional<Expr> sum_;
    std::vector<Func> totals_;
    std::vector<LaneFold> folds_;
    std::vector<std::pair<Func, LaneFold>> blocks_;  // of sums of a row that is not staged
};

// Rows are cut into tasks by samples, those of pixels by lines. Returns the loop over single rows.
Var schedule_rows(Func out, size_t position, int64_t lines, int rows) {
    const std::vector<Var> args = out.args();
    const size_t first = args.size() - position;
    Var line = args[first], inner = line;
    if (position > 1) line = args[first + 1];
    for (size_t i = first + 2; i < args.size(); i++) {
        const Var fused("lines" + std::to_string(i));
        out.fuse(line, args[i], fused);
        line = fused;
    }
    if (lines < 2 * rows) return inner;
    const Var outer("no"), within("ni");
    out.split(line, outer, within, rows, TailStrategy::GuardWithIf).parallel(outer);
    return position == 1 ? within : inner;
}

}  // namespace

bool SoftmaxRows::applies(const Group& group, const Isa&) const {
    if (anchor_as<SoftmaxOp>(group) == nullptr) return false;
    const TensorType& result = group.body.type(group.body.results()[0].value);
    return result.shape == group.anchor_output().shape;
}

TilingSpace SoftmaxRows::space(const Group&, const Isa&) const {
    return {{"rows", {}, 1, kStagedClasses}};
}

std::vector<Tiling> SoftmaxRows::tilings(const Group& group, const Isa&) const {
    const TensorType& scores = group.anchor_input(0);
    const int64_t line = scores.shape[0] * (scores.shape.size() > 1 ? scores.shape.back() : 1);
    return {{{{"rows", to_int(std::max<int64_t>(1, kStagedClasses / line))}}}};
}

// About 40 operations of each class, four passes over a row.
double SoftmaxRows::cost(const Group& group, const Tiling&, const Isa& isa,
                         const Machine& machine) const {
    const TensorType& scores = group.anchor_input(0);
    const double classes = static_cast<double>(round_up(scores.shape[0], kLanes));
    const double rows = static_cast<double>(element_count(scores) / scores.shape[0]);
    return 1e-6 +
           roofline(machine, isa, 20 * classes * rows, 0.5, traffic_bytes(group), group.batch);
}

std::vector<Func> SoftmaxRows::build(KernelContext& context, const Tiling& tiling) const {
    const Group& group = context.group();
    const TensorType& scores = group.anchor_input(0);
    const std::vector<Var> position = row_position(coordinates(scores));
    const int classes = to_int(scores.shape[0]);
    const bool is_of_pixels = position.size() > 1 && classes <= kPixelClasses;
    std::optional<PixelRow> pixel;
    std::optional<StagedRow> staged;
    if (is_of_pixels)
        pixel.emplace(context.operand(0), classes, position);
    else
        staged.emplace(context.operand(0), classes, position);
    Func out = context.finish(
        softmax_result(context, is_of_pixels ? static_cast<SoftmaxRow&>(*pixel) : *staged));
    int64_t lines = group.batch;
    for (size_t i = 1; i + 1 < scores.shape.size(); i++) lines *= scores.shape[i];
    const Var each = schedule_rows(out, position.size(), lines, tiling.at("rows"));
    if (is_of_pixels) {
        pixel->schedule(out, each);
        return {out};
    }
    const TensorType& result = group.anchor_output();
    if (!result.shape.empty() && result.shape[0] > 1)
        out.vectorize(out.args()[0], kLanes, TailStrategy::GuardWithIf);
    staged->schedule(out, each);
    return {out};
}

}  // namespace emulsion

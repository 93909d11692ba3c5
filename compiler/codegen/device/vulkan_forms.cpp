// Rewrites of integers, numbers, vectors and grids for Vulkan.
#include "compiler/codegen/device/vulkan_forms.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "compiler/support/diagnostic.h"

namespace emulsion {

namespace {

namespace ir = Halide::Internal;
using Halide::Expr;
using Halide::Type;

// Floats and vectors. It runs before strict operations are taken for others.
class Values : public ir::IRMutator {
  private:
    using ir::IRMutator::visit;

    Expr visit(const ir::Call* call) override {
        if (call->is_intrinsic(ir::Call::strict_sub)) {
            const auto* sum = call->args[0].as<ir::Call>();
            const bool rounds = sum != nullptr && sum->is_intrinsic(ir::Call::strict_add) &&
                                ir::is_const(call->args[1]) &&
                                ir::equal(sum->args[1], call->args[1]);
            if (rounds) return Halide::round(mutate(sum->args[0]));
        }
        return IRMutator::visit(call);
    }

    Expr visit(const ir::NE* node) override {
        if (!node->a.type().is_float()) return IRMutator::visit(node);
        return ir::Not::make(ir::EQ::make(mutate(node->a), mutate(node->b)));
    }

    Expr visit(const ir::Cast* node) override {
        if (!node->type.is_bool() || node->value.type().is_bool()) return IRMutator::visit(node);
        return ir::NE::make(mutate(node->value), ir::make_zero(node->value.type()));
    }

    Expr visit(const ir::Select* node) override {
        Expr condition = mutate(node->condition);
        if (node->type.is_vector() && condition.type().is_scalar())
            condition = ir::Broadcast::make(condition, node->type.lanes());
        return ir::Select::make(condition, mutate(node->true_value), mutate(node->false_value));
    }

    // What is named outside a loop over blocks becomes an argument of the kernel.
    ir::Stmt visit(const ir::LetStmt* let) override {
        if (!let->value.type().is_bool() || !let->value.type().is_scalar())
            return IRMutator::visit(let);
        return mutate(ir::substitute(let->name, let->value, let->body));
    }

    // Element by element.
    Expr visit(const ir::Shuffle* node) override {
        if (!node->is_interleave() || node->vectors.size() != 2) return IRMutator::visit(node);
        const std::vector<Expr> vectors = {mutate(node->vectors[0]), mutate(node->vectors[1])};
        std::vector<Expr> elements;
        for (int lane = 0; lane < vectors[0].type().lanes(); lane++) {
            for (const Expr& vector : vectors)
                elements.push_back(ir::Shuffle::make_extract_element(vector, lane));
        }
        return ir::Shuffle::make_concat(elements);
    }
};

// Integers of 16 bits become such of 32. Halide makes them of what it knows to fit, and no tensor
// has them, so their values are the same.
class Widths : public ir::IRMutator {
  private:
    using ir::IRMutator::visit;

    static bool is_narrow(const Type& type) { return type.is_int_or_uint() && type.bits() == 16; }
    static Type wide(const Type& type) { return Halide::Int(32, type.lanes()); }

    Expr visit(const ir::IntImm* node) override {
        return is_narrow(node->type) ? ir::make_const(wide(node->type), node->value) : Expr(node);
    }
    Expr visit(const ir::UIntImm* node) override {
        return is_narrow(node->type) ? ir::make_const(wide(node->type), node->value) : Expr(node);
    }
    Expr visit(const ir::Variable* node) override {
        return is_narrow(node->type) ? ir::Variable::make(wide(node->type), node->name)
                                     : Expr(node);
    }
    Expr visit(const ir::Cast* node) override {
        const Expr value = mutate(node->value);
        const Type type = is_narrow(node->type) ? wide(node->type) : node->type;
        return value.type() == type ? value : ir::Cast::make(type, value);
    }
    Expr visit(const ir::Call* node) override {
        if (!is_narrow(node->type)) return IRMutator::visit(node);
        std::vector<Expr> arguments;
        for (const Expr& argument : node->args) arguments.push_back(mutate(argument));
        return ir::Call::make(wide(node->type), node->name, arguments, node->call_type);
    }
};

// Knows what integers a name may stand for, in a call of up to `batch` samples.
class BoundedMutator : public ir::IRMutator {
  public:
    explicit BoundedMutator(int batch) { bounds_.push("samples", ir::ConstantInterval(0, batch)); }

  protected:
    using ir::IRMutator::visit;
    using Bounds = ir::ConstantInterval;

    Bounds bounds_of(const Expr& value) const {
        return ir::constant_integer_bounds(value, bounds_);
    }
    // The body of a node that binds a name to a value.
    template <class Body>
    Body with_bound(const std::string& name, const Expr& value, const Body& body) {
        const bool is_integer = value.type().is_int_or_uint();
        ir::ScopedBinding<Bounds> bound(is_integer, bounds_, name,
                                        is_integer ? bounds_of(value) : Bounds());
        return mutate(body);
    }

    Expr visit(const ir::Let* let) override {
        const Expr value = mutate(let->value);
        return ir::Let::make(let->name, value, with_bound(let->name, let->value, let->body));
    }
    ir::Stmt visit(const ir::LetStmt* let) override {
        const Expr value = mutate(let->value);
        return ir::LetStmt::make(let->name, value, with_bound(let->name, let->value, let->body));
    }
    ir::Stmt visit(const ir::For* loop) override {
        const Expr min = mutate(loop->min), extent = mutate(loop->extent);
        Bounds values = bounds_of(loop->min);
        const Bounds count = bounds_of(loop->extent);
        values.max_defined = values.max_defined && count.max_defined;
        if (values.max_defined) values.max += std::max<int64_t>(count.max - 1, 0);
        ir::ScopedBinding<Bounds> bound(bounds_, loop->name, values);
        return visit_body(loop, min, extent);
    }
    // The loop, whose variable is bound.
    virtual ir::Stmt visit_body(const ir::For* loop, const Expr& min, const Expr& extent) {
        return ir::For::make(loop->name, min, extent, loop->for_type, loop->partition_policy,
                             loop->device_api, mutate(loop->body));
    }

    ir::Scope<Bounds> bounds_;
};

// Integers with a sign. What is known of them is known of the forms that the pass is given.
class Integers : public BoundedMutator {
  public:
    using BoundedMutator::BoundedMutator;

  private:
    using BoundedMutator::visit;

    bool may_be_negative(const Expr& value) const {
        const Bounds bounds = bounds_of(value);
        return !bounds.min_defined || bounds.min < 0;
    }

    // The greatest integer that is no greater than a quotient of `value`, where `quotient` makes it
    // for a type without a sign: ~(~value / b) for what is negative.
    static Expr floor_of(const Expr& value, bool may_be_negative,
                         const std::function<Expr(const Expr&)>& quotient) {
        const Type type = value.type();
        const auto of_natural = [&](const Expr& v) {
            return ir::Reinterpret::make(type, quotient(natural_of(v)));
        };
        if (!may_be_negative) return of_natural(value);
        const Expr sign = ir::Select::make(ir::LT::make(value, ir::make_zero(type)),
                                           ir::make_const(type, -1), ir::make_zero(type));
        const std::string name = ir::unique_name("sign");
        const Expr mask = ir::Variable::make(type, name);
        return ir::Let::make(name, sign, of_natural(value ^ mask) ^ mask);
    }

    static Expr natural_of(const Expr& value) {
        const Type natural = value.type().with_code(Type::UInt);
        if (const auto constant = ir::as_const_int(value))
            return ir::make_const(natural, *constant);
        return ir::Reinterpret::make(natural, value);
    }

    // `given / divisor`, where `a` is the form of `given`.
    Expr quotient_of(const Expr& a, const Expr& given, const Expr& divisor) {
        const Bounds bounds = bounds_of(divisor);
        if (!bounds.min_defined || bounds.min < 1) {
            std::ostringstream text;
            text << given << " / " << divisor;
            fail("device", fmt::format("the divisor of {} may not be positive", text.str()),
                 "divide by a constant, or by the larger one of 1 and the value");
        }
        const Expr b = natural_of(mutate(divisor));
        return floor_of(a, may_be_negative(given),
                        [&](const Expr& natural) { return ir::Div::make(natural, b); });
    }

    // What `make` makes of the form of a value, which is computed once.
    Expr with_form(const Expr& given, const std::function<Expr(const Expr&)>& make) {
        const Expr value = mutate(given);
        if (value.as<ir::Variable>() != nullptr) return make(value);
        const std::string name = ir::unique_name("value");
        return ir::Let::make(name, value, make(ir::Variable::make(value.type(), name)));
    }

    Expr visit(const ir::Div* node) override {
        if (!is_on_device_ || !node->type.is_int()) return IRMutator::visit(node);
        return with_form(node->a, [&](const Expr& a) { return quotient_of(a, node->a, node->b); });
    }

    Expr visit(const ir::Mod* node) override {
        const bool is_mask = ir::is_const_power_of_two_integer(node->b).has_value();
        if (!is_on_device_ || !node->type.is_int() || is_mask) return IRMutator::visit(node);
        return with_form(node->a, [&](const Expr& a) {
            return ir::Sub::make(a,
                                 ir::Mul::make(quotient_of(a, node->a, node->b), mutate(node->b)));
        });
    }

    Expr visit(const ir::Call* call) override {
        const bool is_shift = call->is_intrinsic(ir::Call::shift_right);
        if (!is_on_device_ || !is_shift || !call->type.is_int()) return IRMutator::visit(call);
        const Type natural = call->type.with_code(Type::UInt);
        const Expr count = ir::Cast::make(natural, mutate(call->args[1]));
        return with_form(call->args[0], [&](const Expr& a) {
            return floor_of(a, may_be_negative(call->args[0]),
                            [&](const Expr& value) { return value >> count; });
        });
    }

    Expr visit(const ir::Cast* node) override {
        const Expr value = mutate(node->value);
        const auto constant = ir::as_const_int(value);
        if (constant && node->type.is_int()) return ir::make_const(node->type, *constant);
        return ir::Cast::make(node->type, value);
    }

    ir::Stmt visit_body(const ir::For* loop, const Expr& min, const Expr& extent) override {
        const bool was_on_device =
            std::exchange(is_on_device_, is_on_device_ || loop->for_type == ir::ForType::GPUBlock);
        ir::Stmt result = BoundedMutator::visit_body(loop, min, extent);
        is_on_device_ = was_on_device;
        return result;
    }

    bool is_on_device_ = false;
};

// A long first axis of a grid becomes rows along one that is free.
class Grids : public BoundedMutator {
  public:
    using BoundedMutator::BoundedMutator;

  private:
    ir::Stmt visit_body(const ir::For* loop, const Expr& min, const Expr& extent) override {
        if (loop->for_type != ir::ForType::GPUBlock)
            return BoundedMutator::visit_body(loop, min, extent);
        axes_++;
        const ir::Stmt body = mutate(loop->body);
        const int free_axis = axes_--;
        const Bounds blocks = bounds_of(loop->extent);
        const bool is_long = blocks.max_defined && blocks.max > kMostBlocks && free_axis < 3 &&
                             ir::ends_with(loop->name, ir::gpu_block_name(0));
        if (!is_long) return with_body(loop, loop->name, extent, body);
        constexpr int kRow = 32768;
        const std::string row = loop->name + ir::gpu_block_name(free_axis),
                          column = loop->name + ".column" + ir::gpu_block_name(0);
        const auto index = [](const std::string& name) {
            return ir::Variable::make(Halide::Int(32), name);
        };
        const ir::Stmt one =
            ir::LetStmt::make(loop->name, index(row) * kRow + index(column),
                              ir::IfThenElse::make(index(loop->name) < extent, body));
        return with_body(loop, row, (extent + (kRow - 1)) / kRow,
                         with_body(loop, column, Halide::min(extent, kRow), one));
    }

    static ir::Stmt with_body(const ir::For* loop, const std::string& name, const Expr& extent,
                              const ir::Stmt& body) {
        return ir::For::make(name, loop->min, extent, loop->for_type, loop->partition_policy,
                             loop->device_api, body);
    }

    int axes_ = 0;  // of the grid around and of this loop
};

}  // namespace

ir::Stmt with_vulkan_forms(const ir::Stmt& kernel, int batch) {
    const ir::Stmt values = Values().mutate(Grids(batch).mutate(kernel));
    return Integers(batch).mutate(Widths().mutate(ir::lower_intrinsics(values)));
}

}  // namespace emulsion

// Proof and renumbering of accumulators in registers.
#include "compiler/codegen/device/private_registers.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "compiler/codegen/device/lets.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

namespace {

namespace ir = Halide::Internal;
using Halide::Expr;

struct ThreadLoop {
    std::string name;
    int extent = 0;
};

bool is_thread_loop(const ir::For* loop) {
    return loop->for_type == ir::ForType::GPUThread || loop->for_type == ir::ForType::GPULane;
}

std::string text_of(const Expr& expr) {
    std::ostringstream text;
    text << expr;
    return text.str();
}

[[noreturn]] void refuse(const std::string& name, const std::string& why) {
    fail("registers", fmt::format("the registers of '{}': {}", name, why),
         "keep it in shared memory, or let each thread make and read elements of its own");
}

ThreadLoop thread_loop(const ir::For* loop) {
    const auto extent = ir::as_const_int(ir::simplify(loop->extent));
    if (!extent || *extent < 1) refuse(loop->name, "the number of threads is no constant");
    return {loop->name, static_cast<int>(*extent)};
}

bool uses_any(const Expr& expr, const std::vector<ThreadLoop>& threads) {
    return std::any_of(threads.begin(), threads.end(),
                       [&](const ThreadLoop& t) { return ir::expr_uses_var(expr, t.name); });
}

Expr for_thread_zero(Expr expr, const std::vector<ThreadLoop>& threads) {
    for (const ThreadLoop& thread : threads) expr = ir::substitute(thread.name, Expr(0), expr);
    return ir::simplify(expr);
}

// One load or store: the first of its elements, how many follow, and the conditions on the thread
// that it stands under.
struct Access {
    Expr base;
    int lanes = 1;
    bool is_store = false;
    std::vector<Expr> conditions;
};

class ThreadLoops : public ir::IRVisitor {
  public:
    std::vector<ThreadLoop> found;

  private:
    using ir::IRVisitor::visit;
    void visit(const ir::For* loop) override {
        const bool is_new = std::none_of(found.begin(), found.end(),
                                         [&](const ThreadLoop& t) { return t.name == loop->name; });
        if (is_thread_loop(loop) && is_new) found.push_back(thread_loop(loop));
        ir::IRVisitor::visit(loop);
    }
};

// All accesses of one allocation.
class Accesses : public ir::IRVisitor {
  public:
    Accesses(const std::string& name, const std::vector<ThreadLoop>& threads)
        : name_(name), threads_(threads) {}
    std::vector<Access> found;

  private:
    using ir::IRVisitor::visit;

    void add(const Expr& index, bool is_store) {
        const Expr resolved = lets_.resolved(index);
        const auto* ramp = resolved.as<ir::Ramp>();
        if (ramp == nullptr && resolved.type().lanes() == 1) {
            found.push_back({resolved, 1, is_store, conditions_});
        } else if (ramp != nullptr && ir::is_const_one(ramp->stride)) {
            found.push_back({ramp->base, ramp->lanes, is_store, conditions_});
        } else {
            refuse(name_, fmt::format("the index {} is neither one element nor a run of them",
                                      text_of(resolved)));
        }
    }

    void visit(const ir::Load* load) override {
        if (load->name == name_) add(load->index, /*is_store=*/false);
        ir::IRVisitor::visit(load);
    }
    void visit(const ir::Store* store) override {
        if (store->name == name_) add(store->index, /*is_store=*/true);
        ir::IRVisitor::visit(store);
    }
    void visit(const ir::LetStmt* let) override { visit_let(let); }
    void visit(const ir::Let* let) override { visit_let(let); }
    template <class Node>
    void visit_let(const Node* let) {
        let->value.accept(this);
        lets_.push(let->name, let->value);
        let->body.accept(this);
        lets_.pop();
    }
    void visit(const ir::IfThenElse* branch) override {
        const Expr condition = lets_.resolved(branch->condition);
        branch->condition.accept(this);
        const bool on_thread = uses_any(condition, threads_);
        if (on_thread) conditions_.push_back(condition);
        branch->then_case.accept(this);
        if (on_thread) conditions_.back() = ir::simplify(!condition);
        if (branch->else_case.defined()) branch->else_case.accept(this);
        if (on_thread) conditions_.pop_back();
    }

    const std::string& name_;
    const std::vector<ThreadLoop>& threads_;
    std::vector<Expr> conditions_;
    Lets lets_;
};

// The value of an expression for each thread.
std::vector<Expr> for_each_thread(const Expr& expr, const std::vector<ThreadLoop>& threads) {
    int64_t count = 1;
    for (const ThreadLoop& thread : threads) count *= thread.extent;
    std::vector<Expr> values;
    for (int64_t i = 0; i < count; i++) {
        std::map<std::string, Expr> at;
        int64_t rest = i;
        for (const ThreadLoop& thread : threads) {
            at[thread.name] = Expr(static_cast<int>(rest % thread.extent));
            rest /= thread.extent;
        }
        values.push_back(ir::simplify(ir::substitute(at, expr)));
    }
    return values;
}

bool equal_lists(const std::vector<Expr>& a, const std::vector<Expr>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const Expr& x, const Expr& y) { return ir::equal(x, y); });
}

// Where the elements that each thread touches lie: `starts` by thread, and in one thread's array
// the elements by their distance from its start.
class Places {
  public:
    Places(const std::string& name, const std::vector<Access>& accesses,
           const std::vector<ThreadLoop>& threads)
        : name_(name), threads_(threads) {
        const auto first = std::find_if(accesses.begin(), accesses.end(),
                                        [](const Access& a) { return a.conditions.empty(); });
        const Access& reference = first == accesses.end() ? accesses.front() : *first;
        starts_ = offsets_of(part_of(reference.base));
        std::set<int64_t> elements;
        for (const Access& access : accesses) {
            const int64_t element = element_of(access);
            for (int lane = 0; lane < access.lanes; lane++) elements.insert(element + lane);
            const auto known = std::find_if(indices_.begin(), indices_.end(), [&](const auto& i) {
                return ir::equal(i.first, access.base);
            });
            if (known == indices_.end()) {
                indices_.emplace_back(access.base, element);
            } else if (known->second != element) {
                refuse(name,
                       fmt::format("threads index it in two ways by {}", text_of(access.base)));
            }
        }
        std::set<int64_t> taken;
        for (int64_t start : starts_) {
            for (int64_t element : elements) {
                if (!taken.insert(start + element).second)
                    refuse(name, "two threads share an element");
            }
        }
        for (int64_t element : elements) places_.emplace(element, static_cast<int>(places_.size()));
    }

    int size() const { return static_cast<int>(places_.size()); }
    // The place in a thread's own array of the element with this index.
    int at(const Expr& base) const {
        const auto found = std::find_if(indices_.begin(), indices_.end(),
                                        [&](const auto& i) { return ir::equal(i.first, base); });
        return places_.at(found->second);
    }

  private:
    int64_t at_zero(const Expr& base) const {
        const auto value = ir::as_const_int(for_thread_zero(base, threads_));
        if (!value) {
            refuse(name_,
                   fmt::format("the index {} is not constant for one thread", text_of(base)));
        }
        return *value;
    }
    // What a thread adds to the index of thread 0.
    Expr part_of(const Expr& base) const {
        return ir::simplify(base - static_cast<int>(at_zero(base)));
    }
    std::vector<int64_t> offsets_of(const Expr& part) const {
        std::vector<int64_t> offsets;
        for (const Expr& value : for_each_thread(part, threads_)) {
            const auto offset = ir::as_const_int(value);
            if (!offset)
                refuse(name_, fmt::format("{} is no constant for one thread", text_of(part)));
            offsets.push_back(*offset);
        }
        return offsets;
    }

    // The element's distance from the start of each thread that gets there, the same for all.
    int64_t element_of(const Access& access) {
        const Expr part = part_of(access.base);
        const auto known = std::find_if(parts_.begin(), parts_.end(), [&](const Part& p) {
            return ir::equal(p.part, part) && equal_lists(p.conditions, access.conditions);
        });
        if (known != parts_.end()) return at_zero(access.base) + known->distance;
        const std::vector<int64_t> offsets = offsets_of(part);
        std::vector<bool> gets_there(offsets.size(), true);
        for (const Expr& condition : access.conditions) {
            const std::vector<Expr> holds = for_each_thread(condition, threads_);
            for (size_t i = 0; i < holds.size(); i++) {
                if (ir::is_const_zero(holds[i])) gets_there[i] = false;
            }
        }
        std::optional<int64_t> distance;
        for (size_t i = 0; i < offsets.size(); i++) {
            if (!gets_there[i]) continue;
            const int64_t here = offsets[i] - starts_[i];
            if (distance && *distance != here) {
                refuse(name_,
                       fmt::format("threads index it in two ways, one by {}", text_of(part)));
            }
            distance = here;
        }
        parts_.push_back({part, access.conditions, distance.value_or(0)});
        return at_zero(access.base) + parts_.back().distance;
    }

    struct Part {
        Expr part;
        std::vector<Expr> conditions;
        int64_t distance = 0;
    };
    const std::string& name_;
    const std::vector<ThreadLoop>& threads_;
    std::vector<int64_t> starts_;
    std::vector<Part> parts_;
    std::vector<std::pair<Expr, int64_t>> indices_;  // and their elements
    std::map<int64_t, int> places_;
};

// A thread may read only what it wrote itself: whatever holds a store back holds the loads back.
void check_writers(const std::string& name, const std::vector<Access>& accesses) {
    for (const Access& store : accesses) {
        for (const Access& load : accesses) {
            if (!store.is_store || load.is_store) continue;
            for (const Expr& condition : store.conditions) {
                const bool holds_back_both =
                    std::any_of(load.conditions.begin(), load.conditions.end(),
                                [&](const Expr& c) { return ir::equal(c, condition); });
                if (!holds_back_both) {
                    refuse(name, fmt::format("it is written where {}, and read elsewhere too",
                                             text_of(condition)));
                }
            }
        }
    }
}

// Puts each index of an allocation at its place in the thread's own array.
class Renumber : public ir::IRMutator {
  public:
    Renumber(const std::string& name, const Places& places) : name_(name), places_(places) {}

  private:
    using ir::IRMutator::visit;

    Expr renumbered(const Expr& index) const {
        const Expr resolved = lets_.resolved(index);
        const auto* ramp = resolved.as<ir::Ramp>();
        if (ramp == nullptr) return Expr(places_.at(resolved));
        return ir::Ramp::make(Expr(places_.at(ramp->base)), 1, ramp->lanes);
    }
    Expr visit(const ir::Load* load) override {
        if (load->name != name_) return IRMutator::visit(load);
        return ir::Load::make(load->type, load->name, renumbered(load->index), load->image,
                              load->param, mutate(load->predicate), ir::ModulusRemainder());
    }
    ir::Stmt visit(const ir::Store* store) override {
        if (store->name != name_) return IRMutator::visit(store);
        return ir::Store::make(store->name, mutate(store->value), renumbered(store->index),
                               store->param, mutate(store->predicate), ir::ModulusRemainder());
    }
    ir::Stmt visit(const ir::LetStmt* let) override {
        const Expr value = mutate(let->value);
        lets_.push(let->name, let->value);
        const ir::Stmt body = mutate(let->body);
        lets_.pop();
        return ir::LetStmt::make(let->name, value, body);
    }
    Expr visit(const ir::Let* let) override {
        const Expr value = mutate(let->value);
        lets_.push(let->name, let->value);
        const Expr body = mutate(let->body);
        lets_.pop();
        return ir::Let::make(let->name, value, body);
    }

    const std::string& name_;
    const Places& places_;
    Lets lets_;
};

class PrivateRegisters : public ir::IRMutator {
  private:
    using ir::IRMutator::visit;

    ir::Stmt visit(const ir::For* loop) override {
        const bool was_in_block =
            std::exchange(in_block_, in_block_ || loop->for_type == ir::ForType::GPUBlock);
        if (is_thread_loop(loop)) around_.push_back(thread_loop(loop));
        ir::Stmt result = IRMutator::visit(loop);
        if (is_thread_loop(loop)) around_.pop_back();
        in_block_ = was_in_block;
        return result;
    }

    ir::Stmt visit(const ir::Allocate* allocation) override {
        const bool in_registers = allocation->memory_type == Halide::MemoryType::Register ||
                                  allocation->memory_type == Halide::MemoryType::Stack;
        if (!in_block_ || !in_registers) return IRMutator::visit(allocation);
        ThreadLoops inside;
        allocation->body.accept(&inside);
        std::vector<ThreadLoop> threads = around_;
        threads.insert(threads.end(), inside.found.begin(), inside.found.end());
        Accesses accesses(allocation->name, threads);
        allocation->body.accept(&accesses);
        const std::vector<Access>& found = accesses.found;
        if (!inside.found.empty()) check_writers(allocation->name, found);
        const bool is_of_block = std::any_of(
            found.begin(), found.end(), [&](const Access& a) { return uses_any(a.base, threads); });
        if (!is_of_block) return IRMutator::visit(allocation);
        const Places places(allocation->name, found, threads);
        const ir::Stmt body = Renumber(allocation->name, places).mutate(mutate(allocation->body));
        return ir::Allocate::make(allocation->name, allocation->type, allocation->memory_type,
                                  {Expr(places.size())}, allocation->condition, body,
                                  allocation->new_expr, allocation->free_function);
    }

    std::vector<ThreadLoop> around_;
    bool in_block_ = false;
};

}  // namespace

ir::Stmt with_private_registers(const ir::Stmt& kernel) {
    return PrivateRegisters().mutate(kernel);
}

}  // namespace emulsion

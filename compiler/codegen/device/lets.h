// Names of values around a place in a lowered pipeline.
#pragma once

#include <Halide.h>

#include <string>
#include <utility>
#include <vector>

namespace emulsion {

// The lets around a node, innermost last.
class Lets {
  public:
    void push(const std::string& name, const Halide::Expr& value) {
        lets_.emplace_back(name, value);
    }
    void pop() { lets_.pop_back(); }
    // The expression in terms of loop variables.
    Halide::Expr resolved(Halide::Expr expr) const {
        namespace ir = Halide::Internal;
        for (auto let = lets_.rbegin(); let != lets_.rend(); let++) {
            if (ir::expr_uses_var(expr, let->first))
                expr = ir::substitute(let->first, let->second, expr);
        }
        return ir::simplify(expr);
    }

  private:
    std::vector<std::pair<std::string, Halide::Expr>> lets_;
};

}  // namespace emulsion

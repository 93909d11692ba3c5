// Sums across lanes that are the same on every instruction set: 16 logical lanes, each a running
// value over every 16th element, joined by one balanced tree. Long rows have several such vectors
// side by side, so that none waits for the one before it: of `chains` vectors, lane l of vector k
// folds the elements i * 16 * chains + 16 * k + l, and the vectors are joined first.
#pragma once

#include <Halide.h>

#include <functional>
#include <string>

namespace emulsion {

// A value for each lane and each outer coordinate, as a Func over (l, outer...).
class LaneFold {
  public:
    // Element `i` of the outer position in terms of `old`, the lane's value so far.
    using Step = std::function<Halide::Expr(const Halide::Expr& old, const Halide::Expr& i)>;

    // Folds the elements 0 … count - 1 (at most `limit`; `count` may be symbolic). `outer` are the
    // coordinates that `step` depends on beside i. REQUIRES: of several chains, they divide
    // `count`.
    LaneFold(const std::string& name, const Halide::Expr& count, int limit,
             const std::vector<Halide::Var>& outer, const Halide::Expr& start, const Step& step,
             int chains = 1);

    // The lanes' values at `outer` joined by `join`, in a balanced tree. Comes before compute_at
    // and compute_root.
    using Join = std::function<Halide::Expr(const Halide::Expr&, const Halide::Expr&)>;
    Halide::Expr join(const std::vector<Halide::Expr>& outer, const Join& join);

    // Computes the lanes as one vector inside a loop, or in front of everything else.
    void compute_at(const Halide::LoopLevel& level);
    void compute_root();

  private:
    void vectorize();
    Halide::Func func_;
    Halide::Func vector_;  // what the chains come to; undefined where there is one
    int chains_;
};

// a + b, rounded as written.
Halide::Expr strict_sum(const Halide::Expr& a, const Halide::Expr& b);
// The larger one; b where they are equal or one is no number.
Halide::Expr strict_max(const Halide::Expr& a, const Halide::Expr& b);

}  // namespace emulsion

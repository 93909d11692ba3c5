// The model that random_network() grows, layer by layer, from a seeded generator. A layer that the
// DSL refuses, or that grows too large, is taken back.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "dsl/emulsion.h"
#include "dsl/layer.h"
#include "tests/support/random_choices.h"
#include "tests/support/random_network.h"

namespace emulsion::test {

// Of one sample, of any value; and of one layer.
inline constexpr int64_t kMostElements = 2600, kMostMultiplyAdds = 150000;

class RandomModel : RandomChoices {
  public:
    explicit RandomModel(uint64_t seed) : RandomChoices(seed), model_("random") {}
    Network build();

  private:
    // ---- Choices ----

    // Two equal numbers or two of their own.
    Size size_of(std::initializer_list<int> choices);
    const Tensor& pick(const std::vector<Tensor>& tensors);
    int channels();
    int divisor_of(int count);
    Init any_init() { return one_in(2) ? Init::normal(1) : Init::uniform(1); }
    Neighbors any_mode() { return of({Neighbors::sum, Neighbors::mean, Neighbors::max}); }
    Border any_border();

    // ---- The model ----

    internal::ModelState& state() { return internal::Access::state(model_); }
    // Adds what `layer` writes to the tensors, unless it is refused or too large.
    template <class F>
    void attempt(std::vector<Tensor>& tensors, const F& layer) {
        internal::ModelState before = state();
        Tensor y = layer();
        int64_t elements = 1;
        for (int64_t extent : y.shape()) elements *= extent;
        const bool is_good = state().mistakes.size() == before.mistakes.size() &&
                             elements <= kMostElements && multiply_adds() <= kMostMultiplyAdds;
        if (is_good) {
            tensors.push_back(y);
        } else {
            state() = std::move(before);
        }
    }
    // Of the largest layer.
    int64_t multiply_adds();
    // Names of all parameters.
    std::vector<std::string> weights();

    // ---- Inputs ----

    void add_inputs();
    // Words or the vertices of a graph, as a map of one row.
    void add_indices();
    // What becomes of vertices along the edges between them.
    Tensor along_edges(const Tensor& x, const Tensor& edges);

    // ---- Maps ----

    void grow_map();
    Padding padding_for(Size kernel);
    // As many groups as channels, or fewer.
    Tensor grouped(const Tensor& x, ConvOptions options);
    void convolve(const Tensor& x);
    // Layers whose filter is another one at each position, reads between cells, or has a table.
    Tensor local(const Tensor& x);
    void pool(const Tensor& x);
    Tensor transposed(const Tensor& x);
    // What is often fused: a convolution, then some of batch norm, activation and pooling.
    void block(const Tensor& x);

    // ---- Values in other places ----

    Tensor rearranged(const Tensor& x);
    Tensor unpooled(const Tensor& x);
    Tensor upsampled(const Tensor& x);
    // Work on the positions as one axis, or as three.
    Tensor deepened(const Tensor& x);
    void reshape_map(const Tensor& x);

    // ---- Maps or features ----

    Tensor normalized(const Tensor& x);
    // Layers made of others.
    Tensor composite(const Tensor& x);
    Tensor neighbours(const Tensor& x);
    // Elementwise functions, where they have a derivative that single precision holds, and tensors
    // of the model's own.
    Tensor bent(const Tensor& x);
    void pointwise(std::vector<Tensor>& tensors, const Tensor& x);
    // A sum or a mean, of some axes at least.
    Tensor over_axes(const Tensor& x);
    // x times a factor for some of its axes, or for its channels after a layer of their own.
    Tensor gated(const Tensor& x);
    // Two values of one shape, or with extents of 1, or beside each other.
    void join(std::vector<Tensor>& tensors, const Tensor& x);
    // What several layers make of x, and maybe more of all that.
    Tensor side_by_side(const Tensor& x);
    // Ops that a .emu file can name and the DSL does not.
    Tensor raw(const Tensor& x);
    // A layer on the weights of an earlier one that fit.
    Tensor shared(const Tensor& x, const std::string& kind, size_t rank);

    // ---- Features ----

    void add_features();
    void grow_vector();

    // ---- The end ----

    void add_heads();
    void add_head(int index);
    void add_settings();

    Model model_;
    bool is_wide_ = false;  // blocks of 16 channels: what Winograd takes
    std::vector<Tensor> maps_, vectors_;
};

}  // namespace emulsion::test

// A random model from its inputs to its losses; what it grows between them is in random_maps.cpp
// and random_values.cpp.
#include "tests/support/random_model.h"

#include <algorithm>
#include <stdexcept>

#include "compiler/autodiff/training_step.h"
#include "compiler/ops/sources.h"
#include "dsl/finish.h"

namespace emulsion::test {

Network RandomModel::build() {
    is_wide_ = one_in(3);
    add_inputs();
    const int layers = 1 + below(6);
    for (int i = 0; i < layers; i++) grow_map();
    add_features();
    add_heads();
    add_settings();
    FinishedModel finished = finish(model_);
    if (!finished.network) {  // nothing left to train
        state().frozen.clear();
        finished = finish(model_);
    }
    if (finished.network) return *finished.network;
    std::string text = "a random network has mistakes";
    for (const Diagnostic& mistake : finished.mistakes) text += "\n" + to_string(mistake);
    throw std::runtime_error(text);
}

// ---- Choices ----

Size RandomModel::size_of(std::initializer_list<int> choices) {
    const int h = of(choices);
    return one_in(3) ? Size(h, of(choices)) : Size(h);
}

const Tensor& RandomModel::pick(const std::vector<Tensor>& tensors) {
    if (!one_in(3)) return tensors.back();
    return tensors[static_cast<size_t>(below(static_cast<int>(tensors.size())))];
}

int RandomModel::channels() {
    return is_wide_ ? of({16, 16, 32, 48}) : of({1, 2, 3, 4, 5, 7, 8, 13, 16, 17, 19, 33});
}

int RandomModel::divisor_of(int count) {
    std::vector<int> divisors;
    for (int i = 1; i <= count; i++) {
        if (count % i == 0) divisors.push_back(i);
    }
    return divisors[static_cast<size_t>(below(static_cast<int>(divisors.size())))];
}

Border RandomModel::any_border() {
    return of({Border::zeros(), Border::constant(0.5), Border::reflect(), Border::symmetric(),
               Border::replicate()});
}

int64_t RandomModel::multiply_adds() {
    const Graph& graph = state().builder.graph();
    int64_t most = 0;
    for (const Node& node : graph.nodes()) {
        const bool is_transposed = node.op->kind() == "conv2d_backward_data";
        const bool is_local = node.op->kind() == "local_dense";
        if (is_local) most = std::max(most, element_count(graph.type(node.inputs[1])));
        if (node.op->kind() != "conv2d" && node.op->kind() != "dense" && !is_transposed) continue;
        const std::vector<int64_t>& w = graph.type(node.inputs[1]).shape;
        int64_t count = element_count(is_transposed ? graph.type(node.inputs[0]) : node.types[0]);
        for (size_t axis = 1; axis < w.size(); axis++) count *= w[axis];
        most = std::max(most, count);
    }
    return most;
}

std::vector<std::string> RandomModel::weights() {
    std::vector<std::string> names;
    const Graph& graph = state().builder.graph();
    for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
        if (graph.op_as<Parameter>(i) != nullptr) names.push_back(graph.node(i).name);
    }
    return names;
}

// ---- Inputs ----

void RandomModel::add_inputs() {
    if (one_in(4)) add_indices();
    const int count = one_in(5) ? 2 : 1;
    for (int i = 0; i < count; i++) {
        const int c = is_wide_ && one_in(2) ? 16 : of({1, 2, 3, 3, 4, 5, 8, 17});
        const Size map =
            is_wide_ ? size_of({6, 7, 8, 9, 12}) : size_of({1, 2, 3, 4, 5, 7, 8, 11, 12, 13, 17});
        const std::string name = i == 0 ? "image" : "second";
        if (one_in(8)) {
            vectors_.push_back(model_.input(name, {of({1, 3, 8, 17, 40})}));
        } else {
            maps_.push_back(model_.input(name, {c, map.h, map.w}));
        }
    }
}

void RandomModel::add_indices() {
    const int length = of({1, 2, 3, 5, 9, 16}), vocabulary = of({2, 3, 5, 17});
    const int width = is_wide_ ? 16 : of({1, 2, 3, 5, 8, 17});
    const bool is_padded = one_in(3);
    const Tensor words = model_.indices("words", {length});
    Tensor x = embedding(words, vocabulary, width,
                         {.padding_index = is_padded ? 1 : kNoIndex, .init = any_init()});
    if (length > 1 && one_in(2)) {
        const Tensor edges = model_.indices("edges", {2, of({1, 3, 7})});
        const int layers = 1 + below(3);
        for (int i = 0; i < layers; i++) x = along_edges(x, edges);
    }
    if (one_in(3)) {
        vectors_.push_back(graph_pool(x, {.mode = any_mode()}));
    } else if (one_in(3)) {
        const int graphs = of({2, 3});
        const Tensor parts =
            graph_pool(x, words, std::max(graphs, vocabulary), {.mode = any_mode()});
        vectors_.push_back(flatten(parts));
    }
    const std::vector<int64_t> shape = x.shape();
    maps_.push_back(reshape(x, {shape[0], 1, shape[1]}));
}

Tensor RandomModel::along_edges(const Tensor& x, const Tensor& edges) {
    const auto vertices = static_cast<int>(x.shape()[1]);
    switch (below(5)) {
        case 0:
            return neighbor_pool(x, edges, {.mode = any_mode()});
        case 1:
            return scatter_sum(emulsion::tanh(gather(x, edges)), edges, vertices, {.row = 1});
        case 2:
            return scatter_max(gather(x, edges, {.padding_index = 0}), edges, vertices,
                               {.row = 1, .padding_index = 1});
        default:
            return relu(graph_conv(x, edges, of({1, 3, 4, 16}),
                                   {.normalize = one_in(2), .self_loops = one_in(2)}));
    }
}

// ---- Features ----

void RandomModel::add_features() {
    if (!maps_.empty()) {
        const Tensor x = maps_.back();
        vectors_.push_back(one_in(3)   ? global_average_pool(x)
                           : one_in(6) ? global_max_pool(x)
                                       : flatten(x));
        if (one_in(4)) vectors_.push_back(flatten(pick(maps_)));
    }
    const int layers = below(4);
    for (int i = 0; i < layers; i++) grow_vector();
}

void RandomModel::grow_vector() {
    const Tensor x = pick(vectors_);
    switch (below(11)) {
        case 10:
            return attempt(vectors_, [&] { return x - over_axes(x); });
        case 0:
            return attempt(vectors_, [&] { return normalized(x); });
        case 1:
            return pointwise(vectors_, x);
        case 2:
            return join(vectors_, x);
        case 3:
            return attempt(vectors_, [&] { return softmax(x); });
        case 4:
            return attempt(vectors_, [&] { return shared(x, "dense", 2); });
        case 5:
            return attempt(vectors_, [&] { return raw(x); });
        default:
            attempt(vectors_, [&] { return dense(x, channels(), {.bias = !one_in(3)}); });
            if (one_in(3)) attempt(vectors_, [&] { return normalized(vectors_.back()); });
            if (one_in(2)) pointwise(vectors_, vectors_.back());
    }
}

// ---- The end ----

void RandomModel::add_heads() {
    const int heads = one_in(3) ? 2 : 1;
    for (int i = 0; i < heads; i++) add_head(i);
    if (one_in(4)) {
        const bool is_map = !maps_.empty() && one_in(2);
        model_.loss(pick(is_map ? maps_ : vectors_), {.weight = 0.1});
    }
    if (one_in(4)) model_.output("features", pick(vectors_));
    if (one_in(4) && !maps_.empty()) model_.output("map", pick(maps_));
    if (state().outputs.empty()) model_.output("features", vectors_.back());
}

void RandomModel::add_head(int index) {
    const std::string name = index > 0 || one_in(4) ? "head" + std::to_string(index) : "";
    const double weight = one_in(3) ? 0.5 : 1.0;
    // The first head has weights to train.
    const bool is_first = index == 0;
    const Tensor x = is_first ? dense(pick(vectors_), of({2, 3, 5, 10, 17, 33})) : pick(vectors_);
    const std::string target = "target" + std::to_string(index);
    switch (below(9)) {
        case 6:
            return one_in(2) ? model_.binary_cross_entropy(
                                   x, {.target = target, .weight = weight, .name = name})
                             : model_.huber(x, {.target = target, .weight = weight, .name = name});
        case 7:
            return model_.hinge(
                x, {.target = target, .squared = one_in(2), .weight = weight, .name = name});
        case 8:
            return model_.multi_margin(dense(x, of({2, 3, 10})),
                                       {.label = "label" + std::to_string(index),
                                        .squared = one_in(2),
                                        .weight = weight,
                                        .name = name});
        case 0: {
            const bool is_map = !is_first && !maps_.empty() && one_in(3);
            return model_.mean_squared_error(is_map ? maps_.back() : x,
                                             {.target = "target" + std::to_string(index),
                                              .half_sum = one_in(2),
                                              .weight = weight,
                                              .name = name});
        }
        case 1:
            return model_.loss(!is_first && !maps_.empty() && one_in(2) ? pick(maps_) : x,
                               {.weight = weight});
        default:
            return model_.classify(
                dense(x, of({2, 3, 5, 10, 17, 33})),
                {.label = "label" + std::to_string(index), .weight = weight, .name = name});
    }
}

void RandomModel::add_settings() {
    if (one_in(3)) {
        model_.optimizer(adam({.beta1 = of({0.9, 0.5}),
                               .epsilon = of({1e-8, 1e-4}),
                               .form = of({AdamForm::outside, AdamForm::inside, AdamForm::keras}),
                               .weight_decay = of({0.0, 0.01}),
                               .decoupled = one_in(2),
                               .bias_correction = !one_in(4)}));
    } else if (one_in(3)) {
        model_.optimizer(one_in(2) ? rmsprop({.momentum = of({0.0, 0.9})})
                                   : adagrad({.epsilon = 1e-3}));
    } else {
        const double momentum = of({0.0, 0.9, 0.5});
        model_.optimizer(sgd({.momentum = momentum,
                              .nesterov = momentum > 0 && one_in(3),
                              .damped = momentum > 0 && one_in(3),
                              .weight_decay = of({0.0, 0.01}),
                              .clip_norm = one_in(4) ? 0.5 : 0.0}));
    }
    const std::vector<std::string> names = weights();
    if (names.size() < 2) return;
    const auto any = [&] {
        return names[static_cast<size_t>(below(static_cast<int>(names.size())))];
    };
    if (one_in(3)) {
        const std::string name = any();  // one weight, or its whole layer
        model_.freeze(one_in(2) ? name : name.substr(0, name.rfind('.')));
    }
    if (one_in(4)) model_.no_decay(any());
    if (one_in(4)) model_.learning_rate(any(), 0.5);
}

namespace {

// The network under Levenberg-Marquardt, or as it is where an op of it has no curvature.
Network with_curvature(Network network) {
    Network other = network;
    other.optimizer = {.kind = "levenberg_marquardt",
                       .learning_rate = network.optimizer.learning_rate,
                       .epsilon = 0.5};
    try {
        training_step(other);
    } catch (const Error&) {
        return network;
    }
    return other;
}

}  // namespace

Network random_network(uint64_t seed) {
    if (seed >= kOtherAxes) return random_axes_network(seed - kOtherAxes);
    Network network = RandomModel(seed).build();
    return seed % 3 == 1 ? with_curvature(std::move(network)) : network;
}

}  // namespace emulsion::test

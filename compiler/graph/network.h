// The whole model as data: what a user's program describes, what the compiler takes, and what a
// `.emu` file holds.
//
// `graph` is the forward pass as in training. Its inputs are what each call brings ("image" first,
// then "label" or "target"), its parameters carry initialisers and the freezing flag, its states
// (running statistics) start values.
//     output "loss"            f32[], the mean over the samples: what is differentiated
//     output "correct"         f32[], of a classifier: how many samples, or pixels, have the
//     label's
//                              score as their best; "NAME.correct" of one with a name
//     output "counted"         f32[], of one that ignores labels: how many count
//     output "NAME.loss"       f32[], of each loss where there are several, before its weight
//     output "scores", "probabilities" and others by name: what inference hands out
//     update %bn.running_mean <- %value: written by a training step, absent from inference
// Training hands out "loss" and these numbers, inference every other output; each drops what it
// does not need, inputs too. Dropout and batch norm stand in their training form; a pass gives them
// their inference form.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/graph/graph.h"
#include "compiler/graph/training.h"
#include "runtime/data/augmentation.h"

namespace emulsion {

struct Network {
    std::string name;  // equals graph.name()
    Graph graph;
    OptimizerSpec optimizer;
    ScheduleSpec schedule;
    std::map<std::string, double>
        rates;                         // of parameters: factors of the learning rate other than 1
    std::vector<std::string> classes;  // names by index, or empty
    Normalization normalization;
    Augmentation augmentation;  // of the pictures that are trained on
};

bool operator==(const Network& a, const Network& b);

// Whether an output of this name is a number of the training step beside its loss: "correct" and
// "counted", or ending in ".correct", ".counted" or ".loss".
bool is_measure(std::string_view output);

// Whether training alone hands it out: "loss" and the measures.
bool is_for_training(std::string_view output);

// Whether there is something to train: a network without a loss is for inference only.
bool is_trained(const Network& network);

// The text form, and back; parse_network(print(network), …) == network.
//
//     network lenet
//     optimizer sgd {learning_rate=0.05, momentum=0.9, …}
//     schedule cosine {final=0}
//     rates {conv1.b=2, conv1.w=0.1}
//     normalization {mean=[0.286], deviation=[0.353]}
//     augmentation {fill="constant", fill_value=0, untouched=0} [rotate {probability=1, low=-9, …
//     classes ["shirt", "bag"]
//     graph lenet {
//       …
//     }
//
// Rates, normalization, augmentation and classes are left out where empty.
std::string print(const Network& network);

// Visits the numbers of a piece of an augmentation, and what an augmentation has beside its pieces.
// REQUIRES: there is the piece's kind.
void visit_piece(AugmentPiece& piece, Fields& fields);
void visit_augmentation(Augmentation& augmentation, std::string& fill, Fields& fields);

// Visits what the text of a spec has: the fields of its kind, then the extras where it has any.
template <class Spec>
void visit_printed(Spec& spec, Fields& fields) {
    spec.fields(fields);
    if (spec.has_extras()) spec.extras(fields);
}

// `file` names the text in messages. Throws what parse_graph throws, Error[unknown_attribute],
// [unknown_kind] (of optimizer, schedule or augmentation), or what verify_network finds.
Network parse_network(std::string_view text, const std::string& file);

// parse_network of a file's content; Error[file] where it cannot be read or has over 64 MiB.
Network read_network(const std::string& path);

// Everything that is wrong with what the compiler relies on, beside verify(graph): sources of
// types that there are (code source), a scalar "loss" that parameters reach, or no loss and another
// output (code loss), no gradients (gradient), outputs that inference can compute (output), counts
// that are one number beside a loss (count), an image as first input (input), as many class names
// as scores (classes), a mean and a deviation for each channel (normalization), augmentations that
// fit the pictures (augmentation), indices that are inputs (index), rates in range (optimizer,
// schedule; rates: of parameters that there are), a name (name). REQUIRES:
// verify(graph) passes.
std::vector<Diagnostic> network_faults(const Network& network);

// Throws what verify(graph) throws, else the first of network_faults.
void verify_network(const Network& network);

// True for names of networks: a letter, then letters, digits, '_' and '-', at most 64.
bool is_network_name(std::string_view name);

}  // namespace emulsion

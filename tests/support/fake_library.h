// A training and an inference library written by hand: the tables of functions that a compiled
// network has, over a model small enough to check on paper. Trainer, inference program and files
// are tested with it, without a compiler.
//
// kSoftmax: scores = W x + b over a picture, softmax cross-entropy, SGD with classical momentum.
// Parameters "dense1.w" [classes, C*H*W] (flattened map) and "dense1.b" [classes]; state
// "loss1.mean" [1], a running mean of the loss (momentum 0.1) that the inference library reads too,
// and the two velocities. kQuadratic: one weight "w" [1] and a picture of one pixel b: loss = (w -
// b)^2 / 2, mean over the samples. init writes w = 1. The inference library's scores are [w, b].
//
// There is one network at a time in a process: its tables of functions carry no closure.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/abi/program.h"
#include "runtime/data/picture.h"

namespace emulsion {

enum class FakeKind { kSoftmax, kQuadratic };

struct FakeNetwork {
    FakeKind kind = FakeKind::kSoftmax;
    std::string name = "fake";
    std::string signature = "0123456789abcdef";
    PictureShape shape{1, 4, 4};
    int classes = 3;
    int batch = 4;
    int infer_batch = 1;
    float momentum = 0.9f;
    std::string optimizer = "sgd";  // the line of the info
    bool is_normalized = false;
    float mean = 0.0f, deviation = 1.0f;       // of every channel
    std::string score_name = "probabilities";  // or "scores"
    // Classifiers by name, "" without one; without any the training library counts nothing. The
    // first is the model's, every further one takes each picture for the class 0.
    std::vector<std::string> heads = {""};
    // Losses of which the network's is the sum: the i-th is i times the first.
    std::vector<std::string> losses = {};
    int label_classes = 0;                 // that the training library states of its labels
    int train_inputs = 2;                  // 1: the training library reads pictures alone
    int infer_inputs = 1;                  // 2: the inference library needs another picture
    bool has_other_layout = false;         // the inference library's parameters lie elsewhere
    uint64_t workspace_bytes = 64;         // of the training library; a step writes to all of it
    std::vector<std::string> class_names;  // empty: none
    // Both libraries then have a variant "opencl", which computes as the processor's do, in memory
    // of its own.
    bool has_device_variant = false;
    std::vector<std::string> devices;  // those there are, by name
    int software_devices = 0;          // so many of the first are software
    uint64_t device_bytes = 1 << 20;   // of each
    int largest_batch = 0;             // that fits, emulsion_device_description
    uint64_t elsewhere_bytes = 0;      // more of the workspace that another interface would take
};

// Faults and events to order; a step counts from 1.
struct FakeHooks {
    int64_t signal_step = 0;  // raise `signal` in this step
    int64_t signal_run = 0;   // raise it in this run of the inference library
    int64_t failing_run = 0;  // this run of the inference library is refused
    int signal = 0;
    int signal_count = 1;           // so often in a row
    double signal_pause = 0.0;      // seconds between two of them
    int64_t hungry_step = 0;        // from this step to the next, blocks of memory are refused
    int64_t infinite_step = 0;      // this step's update writes an infinity to the first parameter
    double seconds_per_step = 0.0;  // sleep
    bool has_nan_scores = false;    // of the inference library
    int bind_status = 0;            // returned by both bind functions
    bool refuses_copies = false;    // of parameters: inference is bound to those of the training
    int64_t lost_step = 0;          // the device is lost in this step
    int64_t lost_download = 0;      // or in this download, of one class
    bool has_no_speed = false;      // devices cannot be measured
};

// Replaces the network and clears the hooks.
void use_fake_network(const FakeNetwork& network);
FakeHooks& fake_hooks();

const emulsion_train_library& fake_train_library();
const emulsion_infer_library& fake_infer_library();

// The description of the network in use. `changes` is a JSON object whose fields replace those of
// the description.
std::string fake_description(const std::string& changes = "{}");

}  // namespace emulsion

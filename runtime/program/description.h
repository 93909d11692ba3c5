// The description of a network that the compiler hands to its programs as JSON: settings of the
// training and facts of the manifest that the libraries' `info` does not hold. Fields this version
// does not know are passed over, so a manifest may say more.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/data/augmentation.h"

namespace emulsion {

// A row of the layer table that `emulsion summary` prints, of one sample.
struct LayerFacts {
    std::string name, op;
    std::vector<std::string> inputs;  // names of the layers whose values it reads
    std::vector<int64_t> output;      // shape
    int64_t parameters = 0, multiply_adds = 0, bytes = 0;
};

struct NetworkDescription {
    std::string version, network, signature;
    std::vector<int> infer_batches{1};
    std::string optimizer;  // kind and settings but the rate, such as "sgd, momentum 0.9"
    double learning_rate = 0.01;
    std::string schedule = "cosine";
    std::string schedule_fields = "{}";  // of the schedule, as a JSON object
    Augmentation augmentation;           // of the pictures that are trained on
    int threads = 0;                     // that the schedules were chosen for
    int64_t parameters = 0, multiply_adds = 0;
    int64_t default_epochs = 5;
    std::vector<LayerFacts> layers;  // of a training program
};

// Throws RuntimeError where the text is no JSON object or a field has another type.
NetworkDescription parse_description(const char* text);

}  // namespace emulsion

// Weights files: the safetensors reader, and loading into a network, all of a file and what fits.
#include "runtime/data/initial_weights.h"
#include "runtime/data/weights.h"
#include "tests/fuzz/fuzz_network.h"

using namespace emulsion;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::span<const uint8_t> input(data, size);
    fuzz::read([&] {
        const SafetensorsHeader header = parse_safetensors(input, "input");
        uint64_t at = 0;
        for (const TensorEntry& tensor : header.tensors) {
            fuzz::require(tensor.begin == at && tensor.end >= tensor.begin, "the tensors overlap");
            at = tensor.end;
        }
        fuzz::require(header.data_begin + at == size, "bytes follow the last tensor");
    });
    static fuzz::FuzzNetwork network;
    fuzz::read([&] {
        load_weights({input, "input", "weights file"}, network.info(), network.memory(),
                     network.info());
    });
    fuzz::read([&] {
        load_initial_weights({input, "input", "weights file"}, network.info(), network.memory(),
                             network.info());
    });
    return 0;
}

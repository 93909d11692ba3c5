// Checkpoints: as they are, and with the checksum of what the input holds behind it.
#include "runtime/data/checkpoint.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "tests/fuzz/fuzz_network.h"

using namespace emulsion;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static fuzz::FuzzNetwork network;
    std::vector<uint8_t> bytes(data, data + size);
    const auto load = [&] {
        fuzz::read([&] {
            load_checkpoint({bytes, "input", "checkpoint"}, network.info(), network.memory().sizes,
                            network.memory());
        });
    };
    load();
    const uint64_t checksum = XXH64(data, size, 0);
    for (unsigned i = 0; i < 8; i++) bytes.push_back(static_cast<uint8_t>(checksum >> 8 * i));
    load();
    return 0;
}

// JPEG pictures, behind the two bytes by which they are known.
#include <algorithm>

#include "tests/fuzz/picture_fuzz.h"

using namespace emulsion;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    constexpr uint8_t kStart[] = {0xff, 0xd8, 0xff};
    if (size < sizeof kStart) return 0;
    Bytes bytes(data, data + size);
    std::copy(std::begin(kStart), std::end(kStart), bytes.begin());
    fuzz::decode(bytes);
    return 0;
}

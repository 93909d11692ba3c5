// The facts of the manifest that a program reads.
#include "runtime/program/description.h"
#include "tests/fuzz/fuzz_support.h"

using namespace emulsion;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string text = fuzz::text_of({data, size});
    fuzz::read([&] { parse_description(text.c_str()); });
    return 0;
}

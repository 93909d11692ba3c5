// Tilings as records name them.
#include "compiler/recipe/recipe.h"
#include "tests/fuzz/fuzz_support.h"

using namespace emulsion;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string text = fuzz::text_of({data, size});
    fuzz::read([&] {
        const Tiling tiling = parse_tiling(text);
        fuzz::require(parse_tiling(to_string(tiling)) == tiling,
                      "the printed tiling parses to another one");
    });
    return 0;
}

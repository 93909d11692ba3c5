// Files that describe a machine.
#include "schedules/tune/measured_machine.h"
#include "tests/fuzz/fuzz_support.h"

using namespace emulsion;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string path = fuzz::path_of({data, size});
    fuzz::read([&] { read_machine_file(path); });
    return 0;
}

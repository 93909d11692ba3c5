// IDX files, as they are and compressed.
#include <zlib.h>

#include "runtime/data/idx.h"
#include "tests/fuzz/fuzz_support.h"

using namespace emulsion;

namespace {

constexpr uint64_t kLimit = 1 << 20;

Bytes gzip(fuzz::Data input) {
    z_stream stream{};
    fuzz::require(deflateInit2(&stream, 1, Z_DEFLATED, 16 + 9, 1, Z_DEFAULT_STRATEGY) == Z_OK,
                  "no memory");
    Bytes bytes(deflateBound(&stream, input.size()));
    stream.next_in = const_cast<uint8_t*>(input.data());
    stream.avail_in = static_cast<uInt>(input.size());
    stream.next_out = bytes.data();
    stream.avail_out = static_cast<uInt>(bytes.size());
    deflate(&stream, Z_FINISH);
    bytes.resize(stream.total_out);
    deflateEnd(&stream);
    return bytes;
}

void read_both_ranks(fuzz::Data input) {
    for (const int rank : {1, 3}) {
        const std::string path = fuzz::path_of(input);
        fuzz::read([&] {
            const IdxArray array = read_idx(path, rank, kLimit);
            uint64_t count = 1;
            for (const uint32_t length : array.shape) count *= length;
            fuzz::require(array.shape.size() == static_cast<size_t>(rank) &&
                              array.values.size() == count && count <= kLimit,
                          "the array has other values than its shape says");
        });
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    read_both_ranks({data, size});
    read_both_ranks(gzip({data, size}));
    return 0;
}

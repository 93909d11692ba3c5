// PNG pictures, and masks of class indices: as they are, and with signature, checksums and
// compression mended, so that most changes reach the pixels.
#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "tests/fuzz/picture_fuzz.h"

using namespace emulsion;

namespace {

constexpr uint8_t kSignature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
constexpr size_t kMostInflated = 1 << 18;

uint32_t number_at(fuzz::Data bytes) {
    return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

void put_number(Bytes& bytes, uint64_t value) {
    for (int shift = 24; shift >= 0; shift -= 8)
        bytes.push_back(static_cast<uint8_t>(value >> shift));
}

void put_chunk(Bytes& png, fuzz::Data type, fuzz::Data content) {
    put_number(png, content.size());
    const size_t begin = png.size();
    png.insert(png.end(), type.begin(), type.end());
    png.insert(png.end(), content.begin(), content.end());
    put_number(png, crc32(0, png.data() + begin, static_cast<uInt>(png.size() - begin)));
}

// What a stream of zlib holds, as far as it can be read, as a whole stream again.
Bytes mended_stream(fuzz::Data stream) {
    Bytes raw(kMostInflated);
    z_stream inflater{};
    if (stream.size() < 2 || inflateInit2(&inflater, -MAX_WBITS) != Z_OK) return {};
    inflater.next_in = const_cast<uint8_t*>(stream.data()) + 2;
    inflater.avail_in = static_cast<uInt>(stream.size() - 2);
    inflater.next_out = raw.data();
    inflater.avail_out = static_cast<uInt>(raw.size());
    inflate(&inflater, Z_FINISH);
    raw.resize(inflater.total_out);
    inflateEnd(&inflater);
    uLongf bytes = compressBound(raw.size());
    Bytes result(bytes);
    compress2(result.data(), &bytes, raw.data(), raw.size(), 1);
    result.resize(bytes);
    return result;
}

Bytes mended(fuzz::Data input) {
    Bytes png(std::begin(kSignature), std::end(kSignature));
    const Bytes data = {'I', 'D', 'A', 'T'};
    Bytes stream;
    input = input.subspan(std::min(input.size(), sizeof kSignature));
    while (input.size() >= 8) {
        const fuzz::Data type = input.subspan(4, 4);
        const size_t count = std::min<size_t>(number_at(input), input.size() - 8);
        const fuzz::Data content = input.subspan(8, count);
        const bool is_data = std::equal(type.begin(), type.end(), data.begin());
        if (is_data) {
            stream.insert(stream.end(), content.begin(), content.end());
        } else {
            if (!stream.empty()) put_chunk(png, data, mended_stream(stream));
            stream.clear();
            put_chunk(png, type, content);
        }
        input = input.subspan(std::min(input.size(), 8 + count + 4));
    }
    if (!stream.empty()) put_chunk(png, data, mended_stream(stream));
    return png;
}

void decode_mask(fuzz::Data input) {
    fuzz::read([&] {
        const Picture mask = decode_index_png(input, "mask");
        fuzz::require(mask.shape.channels == 1 && mask.pixels.size() == mask.shape.elements(),
                      "the mask has other pixels than its shape says");
    });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const fuzz::Data input(data, size);
    if (is_picture(input)) fuzz::decode(input);
    decode_mask(input);
    const Bytes whole = mended(input);
    fuzz::decode(whole);
    decode_mask(whole);
    return 0;
}

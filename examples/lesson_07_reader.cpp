// Lesson 7: a reader of your own.
//
// Data may come from anywhere: a database, a format of yours, or a formula. A reader is a shared
// object with one function, which the trainer loads; it gives out rows and their classes. This one
// makes its pictures up: stripes that fall to the right (class 0) or to the left (class 1).
//
//     c++ -std=c++17 -O2 -shared -fPIC -I EMULSION lesson_07_reader.cpp -o stripes.so
//     out/shapes-train --data ./stripes.so:200 --no-augment --validation 0.25 --epochs 6
//     --checkpoint stripes
//
// with `out` from lesson 5; behind the colon stands what the reader makes of it, here the number of
// pictures. Rows of a reader are numbers, which the augmentation of lesson 5 does not take.
// examples/reader.c is a reader in C, of a file.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "runtime/abi/emulsion_reader.h"

namespace {

struct Stripes {
    int64_t channels, height, width;
};

int32_t label(void*, uint64_t index) { return static_cast<int32_t>(index % 2); }

// The same index gives the same row, whenever it is asked for and by whichever thread: whoever
// resumes a run relies on it. Values take the place of pixel / 255 and stand in the order H, W, C.
int read(void* self, uint64_t index, float* row, char*) {
    const Stripes& stripes = *static_cast<const Stripes*>(self);
    const auto shift = static_cast<int64_t>(index / 2 % 6);
    for (int64_t y = 0; y < stripes.height; y++) {
        for (int64_t x = 0; x < stripes.width; x++) {
            const int64_t place = label(self, index) == 0 ? x - y : x + y;
            const bool is_light = ((place + shift) % 6 + 6) % 6 < 3;
            for (int64_t c = 0; c < stripes.channels; c++) *row++ = is_light ? 1.0f : 0.0f;
        }
    }
    return 0;
}

void close(void* self) { delete static_cast<Stripes*>(self); }

}  // namespace

extern "C" int emulsion_open_reader(const emulsion_reader_request* request, emulsion_reader* reader,
                                    char* error) {
    const unsigned long count = std::strtoul(request->argument, nullptr, 10);
    if (request->version != EMULSION_READER_VERSION || count == 0) {
        std::snprintf(error, EMULSION_READER_ERROR,
                      "write the number of pictures behind the colon");
        return 1;
    }
    *reader = {};
    if (request->part != 0) return 0;  // no rows: there is no test part
    reader->self = new Stripes{request->shape[0], request->shape[1], request->shape[2]};
    reader->count = count;
    reader->label = label;
    reader->read = read;
    reader->close = close;
    return 0;
}

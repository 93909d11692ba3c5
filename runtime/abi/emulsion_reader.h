/* A reader of your own, in C99: rows and what they are trained towards (labels, maps or numbers)
 * out of a database, a format of yours, or nothing at all, for `--data ./reader.so` of NET-train
 * and NET-infer. examples/reader.c is one.
 *
 *     cc -shared -fPIC -O2 -I EMULSION reader.c -o reader.so
 *     net-train --data ./reader.so:ARGUMENT
 *
 * The shared object exports emulsion_open_reader. It is called once for each part of the data, and
 * both may be open at a time. Rows come in any order and by several threads at once, so what
 * `read`, `label` and `target` use is not changed by them. The same index gives the same row every
 * time: a run that is resumed relies on it. */
#ifndef EMULSION_READER_H
#define EMULSION_READER_H
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

#define EMULSION_READER_VERSION 3
#define EMULSION_READER_ERROR 256 /* bytes for a message, its end included */

/* What a row is trained towards: its class, the class of each pixel of a map, numbers, or nothing,
 * where it is learnt from alone. */
enum {
    EMULSION_READER_LABEL = 0,
    EMULSION_READER_MAP = 1,
    EMULSION_READER_NUMBERS = 2,
    EMULSION_READER_NOTHING = 3
};

/* What the network reads of each row besides its first input. */
typedef struct emulsion_reader_input {
    const char* name;
    int32_t rank;     /* 0 to 4 */
    int32_t ignored;  /* of indices: one more that may be there, or 0 */
    int64_t shape[4]; /* of one row: (K), (C, L), (C, H, W) or (C, D, H, W) */
    int64_t limit;    /* above 0: indices, 0 .. limit - 1, int32_t each; 0: numbers, float each */
} emulsion_reader_input;

/* What the network needs; valid while emulsion_open_reader runs. */
typedef struct emulsion_reader_request {
    int32_t version;         /* EMULSION_READER_VERSION */
    int32_t part;            /* 0: training, 1: test */
    int64_t shape[3];        /* of one row: C, H, W */
    int32_t classes;         /* labels are 0 .. classes - 1 */
    int32_t target;          /* EMULSION_READER_LABEL, _MAP, _NUMBERS or _NOTHING */
    const char* argument;    /* what stands behind the colon of --data reader.so:ARGUMENT, or "" */
    int64_t target_shape[3]; /* of a map 1, H, W; of numbers C, H, W, or K, 1, 1 of a vector */
    int32_t ignored; /* of a map: the class of pixels that do not count, or -1: there is none */
    int32_t inputs;  /* besides the first */
    const emulsion_reader_input* input;
} emulsion_reader_request;

/* What the reader hands out. Functions that fail write a message of one line, without the name of
 * the data, to `error`, EMULSION_READER_ERROR bytes, and return another value than 0. */
typedef struct emulsion_reader {
    void* self;     /* the reader's own */
    uint64_t count; /* rows, at most 2^32 - 1; 0: there is no such part */
    /* The class of a row; asked for where the target is a label. */
    int32_t (*label)(void* self, uint64_t index);
    /* Writes C * H * W finite numbers, channels innermost: [H][W][C]. They take the place of
     * pixel / 255: the network's own normalisation follows. */
    int (*read)(void* self, uint64_t index, float* row, char* error);
    void (*close)(void* self); /* or null */
    /* Asked for where the target is a map or numbers: writes to `values` a class for each pixel of
     * the map, int32_t [H][W], or the numbers, float [H][W][C], all finite. */
    int (*target)(void* self, uint64_t index, void* values, char* error);
    /* Asked for where the network has further inputs: writes to `values` what the row holds of
     * request->input[input], channels innermost; numbers are finite. */
    int (*extra)(void* self, uint64_t index, int32_t input, void* values, char* error);
} emulsion_reader;

/* Fills `reader` and returns 0. */
int emulsion_open_reader(const emulsion_reader_request* request, emulsion_reader* reader,
                         char* error);

#ifdef __cplusplus
}
#endif
#endif

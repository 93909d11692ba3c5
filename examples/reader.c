/* A reader of one's own (runtime/abi/emulsion_reader.h): a file of records, each what its row is
 * trained towards, a byte for each value of the network's input, in the order H, W, C, and four
 * bytes for each value of its further inputs, where it has any, as this machine has a float or an
 * int32_t. What it is trained towards is a byte for a label or for the class of each pixel, or
 * numbers of four bytes; of a network that learns from rows alone nothing.
 *
 *     cc -std=c99 -O2 -shared -fPIC -I EMULSION examples/reader.c -o reader.so
 *     net-train --data ./reader.so:records.bin
 *
 * The whole file is in memory; a database would be asked for a row in `read`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/abi/emulsion_reader.h"

enum { MOST_EXTRAS = 8 };

typedef struct records {
    unsigned char* bytes;
    size_t values;  /* of a row */
    size_t targets; /* of a row: 1 for a label */
    size_t size;    /* bytes of one of them */
    int32_t extras; /* further inputs, and where in a record each begins and the last one ends */
    size_t extra[MOST_EXTRAS + 1];
} records;

static size_t record_size(const records* all) { return all->extra[all->extras]; }

static const unsigned char* record_at(const records* all, uint64_t index) {
    return all->bytes + index * record_size(all);
}

static int32_t label_of(void* self, uint64_t index) { return record_at(self, index)[0]; }

static int read_row(void* self, uint64_t index, float* row, char* error) {
    const records* all = self;
    const unsigned char* values = record_at(all, index) + all->targets * all->size;
    size_t i;
    (void)error; /* nothing fails here */
    for (i = 0; i < all->values; i++) row[i] = (float)values[i] / 255.0f;
    return 0;
}

static int read_target(void* self, uint64_t index, void* values, char* error) {
    const records* all = self;
    const unsigned char* from = record_at(all, index);
    int32_t* classes = values;
    size_t i;
    (void)error;
    if (all->size > 1) {
        memcpy(values, from, all->targets * all->size);
        return 0;
    }
    for (i = 0; i < all->targets; i++) classes[i] = from[i];
    return 0;
}

static int read_extra(void* self, uint64_t index, int32_t input, void* values, char* error) {
    const records* all = self;
    (void)error;
    memcpy(values, record_at(all, index) + all->extra[input],
           all->extra[input + 1] - all->extra[input]);
    return 0;
}

static void close_records(void* self) {
    records* all = self;
    free(all->bytes);
    free(all);
}

static size_t product_of(const int64_t* shape, int32_t rank) {
    size_t product = 1;
    int32_t i;
    for (i = 0; i < rank; i++) product *= (size_t)shape[i];
    return product;
}

/* The bytes of a file, or NULL. */
static unsigned char* read_bytes(const char* path, size_t* count) {
    FILE* file = fopen(path, "rb");
    unsigned char* bytes = NULL;
    long length;
    if (file == NULL) return NULL;
    if (fseek(file, 0, SEEK_END) == 0 && (length = ftell(file)) >= 0 &&
        fseek(file, 0, SEEK_SET) == 0 && (bytes = malloc((size_t)length + 1)) != NULL)
        *count = fread(bytes, 1, (size_t)length, file);
    fclose(file);
    return bytes;
}

int emulsion_open_reader(const emulsion_reader_request* request, emulsion_reader* reader,
                         char* error) {
    records* all;
    size_t count = 0;
    int32_t i;
    if (request->version != EMULSION_READER_VERSION || request->inputs > MOST_EXTRAS) {
        snprintf(error, EMULSION_READER_ERROR,
                 "the program has version %d of the interface, the network %d further inputs",
                 (int)request->version, (int)request->inputs);
        return 1;
    }
    memset(reader, 0, sizeof *reader);
    if (request->part != 0) return 0; /* no rows: these data have no test part */
    all = calloc(1, sizeof *all);
    if (all == NULL) return 1;
    all->values = product_of(request->shape, 3);
    all->targets = product_of(request->target_shape, 3);
    if (request->target == EMULSION_READER_NOTHING) all->targets = 0;
    all->size = request->target == EMULSION_READER_NUMBERS ? sizeof(float) : 1;
    all->extras = request->inputs;
    all->extra[0] = all->targets * all->size + all->values;
    for (i = 0; i < request->inputs; i++)
        all->extra[i + 1] =
            all->extra[i] + 4 * product_of(request->input[i].shape, request->input[i].rank);
    all->bytes = read_bytes(request->argument, &count);
    if (all->bytes == NULL || count % record_size(all) != 0) {
        snprintf(error, EMULSION_READER_ERROR, "%.150s: no file of records of %lu bytes",
                 request->argument, (unsigned long)record_size(all));
        close_records(all);
        return 1;
    }
    reader->self = all;
    reader->count = count / record_size(all);
    reader->label = label_of;
    reader->target = read_target;
    reader->read = read_row;
    reader->extra = read_extra;
    reader->close = close_records;
    return 0;
}

/* A reader of one's own (runtime/abi/emulsion_reader.h): a file of records, a byte that is the
 * label and a byte for each value of the network's input, in the order H, W, C.
 *
 *     cc -std=c99 -O2 -shared -fPIC -I EMULSION examples/reader.c -o reader.so
 *     net-train --data ./reader.so:records.bin
 *
 * The whole file is in memory; a database would be asked for a row in `read`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/abi/emulsion_reader.h"

typedef struct records {
    unsigned char* bytes;
    size_t values; /* of a row */
} records;

static const unsigned char* record_at(const records* all, uint64_t index) {
    return all->bytes + index * (1 + all->values);
}

static int32_t label_of(void* self, uint64_t index) { return record_at(self, index)[0]; }

static int read_row(void* self, uint64_t index, float* row, char* error) {
    const records* all = self;
    const unsigned char* values = record_at(all, index) + 1;
    size_t i;
    (void)error; /* nothing fails here */
    for (i = 0; i < all->values; i++) row[i] = (float)values[i] / 255.0f;
    return 0;
}

static void close_records(void* self) {
    records* all = self;
    free(all->bytes);
    free(all);
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
    if (request->version != EMULSION_READER_VERSION) {
        snprintf(error, EMULSION_READER_ERROR, "the program has version %d of the interface",
                 (int)request->version);
        return 1;
    }
    memset(reader, 0, sizeof *reader);
    if (request->part != 0) return 0; /* no rows: these data have no test part */
    all = calloc(1, sizeof *all);
    if (all == NULL) return 1;
    all->values = (size_t)(request->shape[0] * request->shape[1] * request->shape[2]);
    all->bytes = read_bytes(request->argument, &count);
    if (all->bytes == NULL || count % (1 + all->values) != 0) {
        snprintf(error, EMULSION_READER_ERROR, "%.150s: no file of records of %lu bytes",
                 request->argument, (unsigned long)(1 + all->values));
        close_records(all);
        return 1;
    }
    reader->self = all;
    reader->count = count / (1 + all->values);
    reader->label = label_of;
    reader->read = read_row;
    reader->close = close_records;
    return 0;
}

/* A reader of data that does what its argument says: "refuse" to open, "label" beyond the classes,
 * "row" that cannot be read, "nan" in a row, "none": no functions, "empty": no rows, "class" beyond
 * the classes in a map, "number" that is NaN, "target" that cannot be read; of the second further
 * input "extra" that cannot be read, "index" beyond the limit, "infinite" number; "first": no
 * function for further inputs. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/abi/emulsion_reader.h"

static const char* fault; /* of the last reader opened */

static int32_t label_of(void* self, uint64_t index) {
    (void)self;
    return strcmp(fault, "label") == 0 && index == 2 ? 9 : (int32_t)(index % 3);
}

static int read_row(void* self, uint64_t index, float* row, char* error) {
    const int64_t* values = self;
    int64_t i;
    for (i = 0; i < *values; i++) row[i] = (float)index;
    if (strcmp(fault, "nan") == 0 && index == 1) row[3] = NAN;
    if (strcmp(fault, "row") != 0 || index != 1) return 0;
    snprintf(error, EMULSION_READER_ERROR, "the cable\nis cut");
    return 1;
}

static int64_t targets;
static int32_t kind;

static int read_target(void* self, uint64_t index, void* values, char* error) {
    int32_t* classes = values;
    float* numbers = values;
    int64_t i;
    (void)self;
    for (i = 0; i < targets; i++) {
        if (kind == EMULSION_READER_NUMBERS) numbers[i] = (float)index + 0.5f * (float)i;
        if (kind == EMULSION_READER_MAP) classes[i] = (int32_t)((index + (uint64_t)i) % 3);
    }
    if (strcmp(fault, "class") == 0 && index == 2) classes[1] = 9;
    if (strcmp(fault, "number") == 0 && index == 2) numbers[1] = NAN;
    if (strcmp(fault, "target") != 0 || index != 2) return 0;
    snprintf(error, EMULSION_READER_ERROR, "the lamp is out");
    return 1;
}

/* The second further input holds indices where the network wants them. */
static int64_t extras;
static int64_t limit;

static int read_extra(void* self, uint64_t index, int32_t input, void* values, char* error) {
    int32_t* indices = values;
    float* numbers = values;
    int64_t i;
    (void)self;
    if (input == 0) {
        numbers[0] = (float)index;
        return 0;
    }
    for (i = 0; i < extras; i++) {
        if (limit == 0) numbers[i] = 0.5f * (float)i;
        if (limit > 0) indices[i] = (int32_t)(((int64_t)index + i) % limit);
    }
    if (strcmp(fault, "index") == 0 && index == 2) indices[1] = (int32_t)limit;
    if (strcmp(fault, "infinite") == 0 && index == 2) numbers[1] = INFINITY;
    if (strcmp(fault, "extra") != 0 || index != 2) return 0;
    snprintf(error, EMULSION_READER_ERROR, "the page is torn");
    return 1;
}

int emulsion_open_reader(const emulsion_reader_request* request, emulsion_reader* reader,
                         char* error) {
    static const char* const faults[] = {"",      "refuse", "label",  "row",     "nan",
                                         "none",  "empty",  "number", "class",   "target",
                                         "extra", "index",  "first",  "infinite"};
    static int64_t values;
    size_t i;
    memset(reader, 0, sizeof *reader);
    for (i = 0; i < sizeof faults / sizeof *faults; i++) {
        if (strcmp(request->argument, faults[i]) == 0) fault = faults[i];
    }
    if (strcmp(fault, "refuse") == 0) {
        snprintf(error, EMULSION_READER_ERROR, "nobody is at home");
        return 1;
    }
    values = request->shape[0] * request->shape[1] * request->shape[2];
    reader->self = &values;
    reader->count = strcmp(fault, "empty") == 0 ? 0 : 5;
    if (strcmp(fault, "none") == 0) return 0;
    targets = request->target_shape[0] * request->target_shape[1] * request->target_shape[2];
    kind = request->target;
    if (request->inputs > 1) {
        limit = request->input[1].limit;
        for (extras = 1, i = 0; i < (size_t)request->input[1].rank; i++)
            extras *= request->input[1].shape[i];
    }
    if (strcmp(fault, "first") != 0) reader->extra = read_extra;
    reader->target = read_target;
    reader->label = label_of;
    reader->read = read_row;
    return 0;
}

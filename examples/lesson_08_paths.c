/* The paths of lesson 8: trains the three libraries step by step and draws what happens, as a PNG.
 * See lesson_08_optimizers.cpp. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "paths_adam_train.h"
#include "paths_momentum_train.h"
#include "paths_sgd_train.h"

enum { kWidth = 480, kHeight = 360, kSteps = 200, kContours = 14 };
static const float kLeft = -1.6f, kRight = 1.8f, kTop = 2.0f, kBottom = -0.55f;

static unsigned char picture[kHeight][kWidth][3];

static void fail(const char* what, const char* why) {
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

/* Zeroed bytes aligned to EMULSION_ALIGNMENT, kept until the program ends. */
static void* aligned_bytes(uint64_t bytes) {
    char* block = calloc(1, (size_t)bytes + EMULSION_ALIGNMENT);
    if (block == NULL) fail("memory", "is not there");
    return block + (EMULSION_ALIGNMENT - (uintptr_t)block % EMULSION_ALIGNMENT);
}

static float height_at(float x, float y) {
    const float across = 1 - x, along = y - x * x;
    return across * across + 5 * along * along;
}

/* Pixels */

static void draw_pixel(int column, int row, const unsigned char* colour) {
    if (column < 0 || column >= kWidth || row < 0 || row >= kHeight) return;
    memcpy(picture[row][column], colour, 3);
}

static void draw_square(float x, float y, int half, const unsigned char* colour) {
    const int column = (int)((x - kLeft) / (kRight - kLeft) * kWidth);
    const int row = (int)((kTop - y) / (kTop - kBottom) * kHeight);
    int i, j;
    for (i = -half; i <= half; i++)
        for (j = -half; j <= half; j++) draw_pixel(column + j, row + i, colour);
}

static void draw_line(float x0, float y0, float x1, float y1, const unsigned char* colour) {
    int i;
    for (i = 0; i <= 200; i++) {
        const float share = (float)i / 200;
        draw_square(x0 + share * (x1 - x0), y0 + share * (y1 - y0), 1, colour);
    }
}

/* Bands of equal height, by its logarithm, darker below. */
static void draw_surface(void) {
    int row, column, c;
    for (row = 0; row < kHeight; row++) {
        for (column = 0; column < kWidth; column++) {
            const float x = kLeft + (kRight - kLeft) * ((float)column + 0.5f) / kWidth;
            const float y = kTop - (kTop - kBottom) * ((float)row + 0.5f) / kHeight;
            const float share = logf(1 + 20 * height_at(x, y)) / logf(1 + 20 * 60.0f);
            const float band = floorf(share * kContours) / kContours;
            const float shade[3] = {40 + 150 * band, 70 + 140 * band, 90 + 60 * band};
            for (c = 0; c < 3; c++) picture[row][column][c] = (unsigned char)shade[c];
        }
    }
}

/* Training */

/* The functions of one library that are needed here. */
typedef struct library {
    const char* name;
    unsigned char colour[3];
    const emulsion_info* (*info)(void);
    int (*sizes)(int threads, emulsion_sizes* sizes);
    int (*init)(uint64_t seed, const emulsion_memory* memory);
    int (*bind)(void* instance, const emulsion_memory* memory, const emulsion_options* options);
    int (*step)(void* instance, const emulsion_call* call, float learning_rate);
    const char* (*error)(const void* instance);
    int (*unbind)(void* instance);
} library;

#define LIBRARY(name)                                                            \
    name##_train_info, name##_train_sizes, name##_train_init, name##_train_bind, \
        name##_train_step, name##_train_error, name##_train_unbind

/* Where a parameter lies in the program's own memory. */
static float* find_parameter(const library* trained, const emulsion_memory* memory,
                             const char* name) {
    const emulsion_info* info = trained->info();
    int i;
    for (i = 0; i < info->tensor_count; i++) {
        const emulsion_tensor* tensor = &info->tensors[i];
        if (strcmp(tensor->name, name) == 0)
            return (float*)((char*)memory->block[tensor->memory_class] + tensor->offset);
    }
    fail(trained->name, "lacks a parameter");
    return NULL;
}

static void follow(const library* trained, float learning_rate) {
    const emulsion_info* info = trained->info();
    emulsion_options options;
    emulsion_memory memory;
    const void* inputs[1];
    void* outputs[1];
    emulsion_call call;
    void* instance;
    float *x, *y;
    int i;
    memset(&options, 0, sizeof options);
    options.threads = 1;
    trained->sizes(options.threads, &memory.sizes);
    for (i = 0; i < EMULSION_CLASSES; i++) memory.block[i] = aligned_bytes(memory.sizes.bytes[i]);
    instance = memory.block[EMULSION_INSTANCE];
    if (info->input_count != 1 || info->output_count != 1)
        fail(trained->name, "is another network");
    inputs[0] = aligned_bytes(info->inputs[0].bytes);
    outputs[0] = aligned_bytes(info->outputs[0].bytes);
    if (trained->init(1, &memory) != EMULSION_OK) fail(trained->name, "init");
    if (trained->bind(instance, &memory, &options) != EMULSION_OK)
        fail(trained->name, trained->error(instance));
    x = find_parameter(trained, &memory, "x");
    y = find_parameter(trained, &memory, "y");
    *x = -1.3f, *y = 1.6f;
    draw_square(*x, *y, 4, trained->colour);
    memset(&call, 0, sizeof call);
    call.samples = 1;
    call.inputs = inputs;
    call.outputs = outputs;
    for (i = 0; i < kSteps; i++) {
        const float from_x = *x, from_y = *y;
        if (trained->step(instance, &call, learning_rate) != EMULSION_OK)
            fail(trained->name, trained->error(instance));
        draw_line(from_x, from_y, *x, *y, trained->colour);
    }
    printf("%-8s ends at %7.4f %7.4f, height %.6f\n", trained->name, (double)*x, (double)*y,
           (double)height_at(*x, *y));
    trained->unbind(instance);
}

/* PNG (ISO 15948) without compression: blocks of deflate that are stored as they are. */

static uint32_t crc_of(const unsigned char* bytes, size_t count) {
    uint32_t crc = 0xffffffffu;
    size_t i;
    int bit;
    for (i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static unsigned char* put_number(unsigned char* to, uint32_t number) {
    int i;
    for (i = 0; i < 4; i++) *to++ = (unsigned char)(number >> (24 - 8 * i));
    return to;
}

static void write_chunk(FILE* file, const char* kind, const unsigned char* data, size_t count) {
    unsigned char* bytes = malloc(count + 12);
    unsigned char* end;
    if (bytes == NULL) fail("memory", "is not there");
    put_number(bytes, (uint32_t)count);
    memcpy(bytes + 4, kind, 4);
    if (count > 0) memcpy(bytes + 8, data, count);
    end = put_number(bytes + 8 + count, crc_of(bytes + 4, count + 4));
    fwrite(bytes, 1, (size_t)(end - bytes), file);
    free(bytes);
}

static void write_png(const char* path) {
    enum { kRow = 1 + 3 * kWidth }; /* a byte for the filter, none */
    static unsigned char data[2 + kHeight * (kRow + 5) + 4];
    unsigned char header[13], *to = data;
    uint32_t a = 1, b = 0; /* Adler-32 */
    FILE* file = fopen(path, "wb");
    int row, i;
    if (file == NULL) fail(path, "cannot be written");
    put_number(put_number(header, kWidth), kHeight);
    memcpy(header + 8, "\x08\x02\0\0\0", 5);
    *to++ = 0x78, *to++ = 0x01;
    for (row = 0; row < kHeight; row++) {
        unsigned char* line = to + 5;
        *to++ = row + 1 == kHeight;
        *to++ = kRow & 255, *to++ = kRow >> 8, *to++ = ~kRow & 255, *to++ = ~kRow >> 8 & 255;
        *to++ = 0;
        memcpy(to, picture[row], 3 * kWidth);
        to += 3 * kWidth;
        for (i = 0; i < kRow; i++) a = (a + line[i]) % 65521, b = (b + a) % 65521;
    }
    to = put_number(to, b << 16 | a);
    fwrite("\x89PNG\r\n\x1a\n", 1, 8, file);
    write_chunk(file, "IHDR", header, sizeof header);
    write_chunk(file, "IDAT", data, (size_t)(to - data));
    write_chunk(file, "IEND", NULL, 0);
    if (fclose(file) != 0) fail(path, "cannot be written");
}

int main(int argc, char** argv) {
    static const library kLibraries[] = {
        {"sgd", {220, 40, 40}, LIBRARY(paths_sgd)},
        {"momentum", {40, 90, 240}, LIBRARY(paths_momentum)},
        {"adam", {255, 255, 255}, LIBRARY(paths_adam)},
    };
    static const float kRates[] = {0.02f, 0.02f, 0.1f};
    int i;
    if (argc != 2) fail("draw_paths", "name the PNG file to write");
    draw_surface();
    for (i = 0; i < 3; i++) follow(&kLibraries[i], kRates[i]);
    write_png(argv[1]);
    return 0;
}

/* The smallest useful program around an inference library: weights from a file, one picture from another, and the
 * likeliest class with its probability. Its size, linked statically, is tested. */
#include <stdio.h>
#include <stdlib.h>

#include "lenet_infer.h"

static float picture[28 * 28] __attribute__((aligned(EMULSION_ALIGNMENT)));
static float scores[10] __attribute__((aligned(EMULSION_ALIGNMENT)));
static float probabilities[10] __attribute__((aligned(EMULSION_ALIGNMENT)));

int main(int argc, char** argv) {
    emulsion_sizes sizes;
    emulsion_memory memory;
    const void* inputs[1] = {picture};
    void* outputs[2] = {scores, probabilities};
    emulsion_options options = {1, 0, 0, 0, NULL, NULL, NULL}; /* one thread, as in sizes */
    emulsion_call call = {1, 0, inputs, outputs};
    FILE* file;
    int c, best = 0;
    if (argc != 3 || lenet_infer_sizes(1, &sizes)) return 2;
    for (c = 0; c < EMULSION_CLASSES; c++) {
        char* block = calloc(1, sizes.bytes[c] + EMULSION_ALIGNMENT);
        if (!block) return 1;
        memory.block[c] = block + (EMULSION_ALIGNMENT - (size_t)block % EMULSION_ALIGNMENT);
    }
    if (!(file = fopen(argv[1], "rb"))) return 1;
    if (fread(memory.block[EMULSION_PARAMETERS], 1, sizes.bytes[EMULSION_PARAMETERS], file) == 0) return 1;
    fclose(file);
    if (!(file = fopen(argv[2], "rb")) || fread(picture, sizeof picture, 1, file) != 1) return 1;
    fclose(file);
    if (lenet_infer_bind(memory.block[EMULSION_INSTANCE], &memory, &options)) return 1;
    if (lenet_infer_prepare(memory.block[EMULSION_INSTANCE])) return 1;
    if (lenet_infer_run(memory.block[EMULSION_INSTANCE], &call)) return 1;
    for (c = 1; c < 10; c++)
        if (scores[c] > scores[best]) best = c;
    printf("%d %.3f\n", best, (double)probabilities[best]);
    return 0;
}

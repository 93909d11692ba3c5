/* First values of parameters and state: a function of seed, tensor and logical element, so they
 * depend on no layout, order, thread or processor.
 *
 * Random words come from Philox 4x32-10 with key = seed and counter = (element, tensor, attempt).
 * Normal values come from the ratio of uniforms, which needs only a logarithm (a series below): no
 * function of libm, whose last bits differ between versions, and no fused multiply-add. */
#include <string.h>

#include "runtime/abi/internal.h"

typedef struct {
    uint32_t word[4];
} Words;

static Words philox(uint64_t seed, uint64_t element, uint32_t tensor, uint32_t attempt) {
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    Words x = {{(uint32_t)element, (uint32_t)(element >> 32), tensor, attempt}};
    for (int round = 0; round < 10; round++) {
        const uint64_t a = UINT64_C(0xD2511F53) * x.word[0];
        const uint64_t b = UINT64_C(0xCD9E8D57) * x.word[2];
        x = (Words){{(uint32_t)(b >> 32) ^ x.word[1] ^ key[0], (uint32_t)b,
                     (uint32_t)(a >> 32) ^ x.word[3] ^ key[1], (uint32_t)a}};
        key[0] += 0x9E3779B9u;
        key[1] += 0xBB67AE85u;
    }
    return x;
}

/* Natural logarithm of a normal positive number: exponent, then the series of 2 artanh((m - 1) / (m
 * + 1)). */
static double logarithm(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int exponent = (int)(bits >> 52) - 1023;
    bits = (bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1023) << 52;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        exponent++;
    }
    const double t = (m - 1) / (m + 1);
    double sum = 0;
    for (int k = 21; k >= 1; k -= 2) sum = sum * t * t + 1.0 / k;
    return exponent * 0.69314718055994531 + 2 * t * sum;
}

static double normal(uint64_t seed, uint64_t element, uint32_t tensor) {
    for (uint32_t attempt = 0;; attempt++) {
        const Words x = philox(seed, element, tensor, attempt);
        const double u = (x.word[0] + 0.5) * 0x1p-32; /* in (0, 1) */
        const double v =
            (x.word[1] + 0.5 - 0x1p31) * (0.85776388496070680 * 0x1p-31); /* sqrt(2 / e) */
        const double ratio = v / u;
        if (ratio * ratio <= -4 * logarithm(u)) return ratio;
    }
}

static float value_of(const emulsion_initializer* initializer, uint64_t seed, uint64_t element) {
    const uint32_t tensor = (uint32_t)initializer->tensor;
    switch (initializer->kind) {
        case EMULSION_NORMAL:
            return (float)(initializer->value * normal(seed, element, tensor));
        case EMULSION_UNIFORM: {
            const uint32_t bits = philox(seed, element, tensor, 0).word[0] >> 8;
            return initializer->value * ((float)bits * 0x1p-23f - 1);
        }
        default:
            return initializer->value;
    }
}

/* The tensor as [outer, channels, height, width] with outer in blocks of 16: see emulsion_tensor.
 */
static void write_tensor(const emulsion_tensor* tensor, const emulsion_initializer* initializer,
                         uint64_t seed, float* values) {
    uint64_t channels = 1, height = 1, width = 1;
    if (tensor->rank == 2 && tensor->flattened[0] > 0) {
        channels = (uint64_t)tensor->flattened[0];
        height = (uint64_t)tensor->flattened[1];
        width = (uint64_t)tensor->flattened[2];
    } else {
        if (tensor->rank >= 2) channels = (uint64_t)tensor->shape[1];
        if (tensor->rank >= 3) height = (uint64_t)tensor->shape[2];
        if (tensor->rank >= 4) width = (uint64_t)tensor->shape[3];
    }
    uint64_t element = 0;
    for (uint64_t o = 0; o < (uint64_t)tensor->shape[0]; o++) {
        for (uint64_t c = 0; c < channels; c++) {
            for (uint64_t h = 0; h < height; h++) {
                for (uint64_t w = 0; w < width; w++, element++) {
                    const uint64_t place =
                        (((o / 16 * height + h) * width + w) * channels + c) * 16 + o % 16;
                    values[place] = value_of(initializer, seed, element);
                }
            }
        }
    }
}

int emulsion_library_init(const emulsion_library* library, uint64_t seed,
                          const emulsion_memory* memory) {
    if (memory == NULL) return EMULSION_INVALID_ARGUMENT;
    const int classes[] = {EMULSION_PARAMETERS, EMULSION_STATE};
    for (int i = 0; i < 2; i++) {
        if (library->bytes[classes[i]] == 0) continue;
        if (memory->block[classes[i]] == NULL) return EMULSION_INVALID_ARGUMENT;
        if ((uintptr_t)memory->block[classes[i]] % EMULSION_ALIGNMENT != 0)
            return EMULSION_MISALIGNED;
        memset(memory->block[classes[i]], 0, library->bytes[classes[i]]);
    }
    if (library->bytes[EMULSION_STATE] != 0) ((uint64_t*)memory->block[EMULSION_STATE])[0] = seed;
    for (int i = 0; i < library->initializer_count; i++) {
        const emulsion_initializer* initializer = &library->initializers[i];
        const emulsion_tensor* tensor = &library->info->tensors[initializer->tensor];
        char* block = (char*)memory->block[tensor->memory_class];
        write_tensor(tensor, initializer, seed, (float*)(void*)(block + tensor->offset));
    }
    return EMULSION_OK;
}

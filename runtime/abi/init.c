/* First values of parameters and state: a function of seed, tensor and logical element, so they
 * depend on no layout, order, thread or processor.
 *
 * Random words come from Philox 4x32-10 with key = seed and counter = (element, tensor, attempt).
 * Normal values come from the ratio of uniforms, which needs only a logarithm (a series below): no
 * function of libm, whose last bits differ between versions, and no fused multiply-add. */
#include <string.h>

#include "runtime/abi/internal.h"

enum { kLanes = 16 };

typedef struct {
    uint32_t word[4][kLanes];
} Words;

/* The words of elements first .. first + lanes - 1; the loops over lanes become vector code. */
static inline __attribute__((always_inline)) void philox(uint64_t seed, uint64_t first,
                                                         uint32_t tensor, uint32_t attempt,
                                                         int lanes, Words* x) {
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    for (int i = 0; i < lanes; i++) {
        x->word[0][i] = (uint32_t)(first + (uint64_t)i);
        x->word[1][i] = (uint32_t)((first + (uint64_t)i) >> 32);
        x->word[2][i] = tensor;
        x->word[3][i] = attempt;
    }
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < lanes; i++) {
            const uint64_t a = UINT64_C(0xD2511F53) * x->word[0][i];
            const uint64_t b = UINT64_C(0xCD9E8D57) * x->word[2][i];
            x->word[0][i] = (uint32_t)(b >> 32) ^ x->word[1][i] ^ key[0];
            x->word[2][i] = (uint32_t)(a >> 32) ^ x->word[3][i] ^ key[1];
            x->word[1][i] = (uint32_t)b;
            x->word[3][i] = (uint32_t)a;
        }
        key[0] += 0x9E3779B9u;
        key[1] += 0xBB67AE85u;
    }
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
    static const double inverse[] = {1.0 / 21, 1.0 / 19, 1.0 / 17, 1.0 / 15, 1.0 / 13, 1.0 / 11,
                                     1.0 / 9,  1.0 / 7,  1.0 / 5,  1.0 / 3,  1.0};
    const double t = (m - 1) / (m + 1);
    double sum = 0;
    for (int i = 0; i < 11; i++) sum = sum * t * t + inverse[i];
    return exponent * 0.69314718055994531 + 2 * t * sum;
}

/* The ratio of uniforms v / u is taken where its square is at most -4 log(u). Two bounds of the
 * logarithm settle three quarters of the cases without it, to the same answer: they stand back by
 * more than it errs. Returns whether the words give a value. */
static int normal(const Words* x, int lane, double* value) {
    const double u = (x->word[0][lane] + 0.5) * 0x1p-32; /* in (0, 1) */
    const double v =
        (x->word[1][lane] + 0.5 - 0x1p31) * (0.85776388496070680 * 0x1p-31); /* sqrt(2 / e) */
    const double ratio = v / u, square = ratio * ratio;
    *value = ratio;
    if (square <= 4.99999 - 5.1361016667509656 * u) return 1; /* 4 e^(1/4) */
    if (square >= 1.40001 + 1.0369610425836559 / u) return 0; /* 4 e^-1.35 */
    return square <= -4 * logarithm(u);
}

/* The values of elements first .. first + 15. */
static void draw_normal(uint64_t seed, uint32_t tensor, uint64_t first, double values[kLanes]) {
    Words all, one;
    philox(seed, first, tensor, 0, kLanes, &all);
    for (int i = 0; i < kLanes; i++) {
        int is_taken = normal(&all, i, &values[i]);
        for (uint32_t attempt = 1; !is_taken; attempt++) {
            philox(seed, first + (uint64_t)i, tensor, attempt, 1, &one);
            is_taken = normal(&one, 0, &values[i]);
        }
    }
}

/* The first values of elements first .. first + 15. */
static void draw(const emulsion_initializer* initializer, uint64_t seed, uint64_t first,
                 float values[kLanes]) {
    const uint32_t tensor = (uint32_t)initializer->tensor;
    if (initializer->kind == EMULSION_NORMAL) {
        double normals[kLanes];
        draw_normal(seed, tensor, first, normals);
        for (int i = 0; i < kLanes; i++) values[i] = (float)(initializer->value * normals[i]);
    } else if (initializer->kind == EMULSION_UNIFORM) {
        Words words;
        philox(seed, first, tensor, 0, kLanes, &words);
        for (int i = 0; i < kLanes; i++) {
            const uint32_t bits = words.word[0][i] >> 8;
            values[i] = initializer->value * ((float)bits * 0x1p-23f - 1);
        }
    } else {
        for (int i = 0; i < kLanes; i++) values[i] = initializer->value;
    }
}

/* A tensor of any rank as [outer][channels][places]: the places are those of a filter, or of the
 * flattened map. In memory it is [outer / 16][places][channels][16]; see emulsion_tensor. */
static void write_tensor(const emulsion_tensor* tensor, const emulsion_initializer* initializer,
                         uint64_t seed, float* memory) {
    uint64_t outer = 1, channels = 1, places = 1;
    if (tensor->rank >= 1) outer = (uint64_t)tensor->shape[0];
    if (tensor->rank >= 2) channels = (uint64_t)tensor->shape[1];
    for (int axis = 2; axis < tensor->rank; axis++) places *= (uint64_t)tensor->shape[axis];
    if (tensor->rank == 2 && tensor->flattened[0] > 0) {
        channels = (uint64_t)tensor->flattened[0];
        places = (uint64_t)(tensor->flattened[1] * tensor->flattened[2]);
    }
    float values[kLanes];
    uint64_t element = 0;
    for (uint64_t o = 0; o < outer; o++) {
        for (uint64_t c = 0; c < channels; c++) {
            for (uint64_t p = 0; p < places; p++, element++) {
                if (element % kLanes == 0) draw(initializer, seed, element, values);
                memory[((o / 16 * places + p) * channels + c) * 16 + o % 16] =
                    values[element % kLanes];
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
        if (memory->sizes.bytes[classes[i]] < library->bytes[classes[i]])
            return EMULSION_INVALID_ARGUMENT;
        if ((uintptr_t)memory->block[classes[i]] % EMULSION_ALIGNMENT != 0)
            return EMULSION_MISALIGNED;
    }
    for (int i = 0; i < 2; i++) {
        if (library->bytes[classes[i]] != 0)
            memset(memory->block[classes[i]], 0, library->bytes[classes[i]]);
    }
    if (library->bytes[EMULSION_STATE] != 0) {
        uint64_t* state = (uint64_t*)memory->block[EMULSION_STATE];
        state[0] = seed;
        state[2] = EMULSION_STATE_MARK;
    }
    for (int i = 0; i < library->initializer_count; i++) {
        const emulsion_initializer* initializer = &library->initializers[i];
        const emulsion_tensor* tensor = &library->info->tensors[initializer->tensor];
        char* block = (char*)memory->block[tensor->memory_class];
        write_tensor(tensor, initializer, seed, (float*)(void*)(block + tensor->offset));
    }
    return EMULSION_OK;
}

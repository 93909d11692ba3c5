/* A C99 program with two networks: trains both for some steps on noise that it learns by heart,
 * then runs inference with the trained weights. All memory is the program's; the libraries take
 * none. Ends with 0 where all went well.
 *
 * Usage: two_networks [THREADS] */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mlp_infer.h"
#include "mlp_train.h"
#include "small_infer.h"
#include "small_train.h"

enum { kSteps = 12, kMostPorts = 4 };

/* The functions of the two libraries of a network. */
typedef struct network {
    const char* name;
    int classes;
    const emulsion_info* (*train_info)(void);
    int (*train_sizes)(int threads, emulsion_sizes* sizes);
    int (*train_init)(uint64_t seed, const emulsion_memory* memory);
    int (*train_bind)(void* instance, const emulsion_memory* memory,
                      const emulsion_options* options);
    int (*train_step)(void* instance, const emulsion_call* call, float learning_rate);
    const char* (*train_error)(const void* instance);
    int (*train_unbind)(void* instance);
    const emulsion_info* (*infer_info)(void);
    int (*infer_sizes)(int threads, emulsion_sizes* sizes);
    int (*infer_bind)(void* instance, const emulsion_memory* memory,
                      const emulsion_options* options);
    int (*infer_prepare)(void* instance);
    int (*infer_run)(void* instance, const emulsion_call* call);
    const char* (*infer_error)(const void* instance);
    int (*infer_unbind)(void* instance);
} network;

#define NETWORK(name, classes) \
    {#name,                    \
     classes,                  \
     name##_train_info,        \
     name##_train_sizes,       \
     name##_train_init,        \
     name##_train_bind,        \
     name##_train_step,        \
     name##_train_error,       \
     name##_train_unbind,      \
     name##_infer_info,        \
     name##_infer_sizes,       \
     name##_infer_bind,        \
     name##_infer_prepare,     \
     name##_infer_run,         \
     name##_infer_error,       \
     name##_infer_unbind}

static void fail(const char* network, const char* what, int status, const char* message) {
    fprintf(stderr, "%s: %s returns %d: %s\n", network, what, status, message);
    exit(1);
}

/* Zeroed bytes aligned to EMULSION_ALIGNMENT. They are kept until the program ends. */
static void* aligned_bytes(uint64_t bytes) {
    char* block = malloc((size_t)bytes + 2 * EMULSION_ALIGNMENT);
    if (block == NULL) {
        fprintf(stderr, "no memory\n");
        exit(1);
    }
    memset(block, 0, (size_t)bytes + 2 * EMULSION_ALIGNMENT);
    return block + EMULSION_ALIGNMENT - (uintptr_t)block % EMULSION_ALIGNMENT;
}

static emulsion_memory memory_of(const emulsion_sizes* sizes) {
    emulsion_memory memory;
    memory.sizes = *sizes;
    for (int i = 0; i < EMULSION_CLASSES; i++) memory.block[i] = aligned_bytes(sizes->bytes[i]);
    return memory;
}

static uint64_t port_bytes(const emulsion_info* info, const emulsion_port* port) {
    return port->bytes * (uint64_t)(port->batched ? info->batch : 1);
}

/* Noise in [-1, 1) for the pictures, and class indices. */
static void fill(const emulsion_info* info, void* const* inputs, int classes) {
    uint32_t noise = 1;
    for (int i = 0; i < info->input_count; i++) {
        const size_t count = (size_t)port_bytes(info, &info->inputs[i]) / 4;
        for (size_t k = 0; k < count; k++) {
            noise = noise * 1664525u + 1013904223u;
            if (info->inputs[i].type == EMULSION_F32) {
                ((float*)inputs[i])[k] = (float)(noise >> 8) / 8388608.0f - 1.0f;
            } else {
                ((int32_t*)inputs[i])[k] = (int32_t)((noise >> 8) % (uint32_t)classes);
            }
        }
    }
}

static int port_named(const emulsion_port* ports, int count, const char* name) {
    for (int i = 0; i < count; i++) {
        if (strcmp(ports[i].name, name) == 0) return i;
    }
    fprintf(stderr, "there is no port '%s'\n", name);
    exit(1);
}

/* Trains; the memory holds the weights afterwards. */
static emulsion_memory train(const network* net, const emulsion_options* options,
                             void* const* inputs) {
    const emulsion_info* info = net->train_info();
    emulsion_sizes sizes;
    void* outputs[kMostPorts];
    const void* bound[kMostPorts];
    net->train_sizes(options->threads, &sizes);
    const emulsion_memory memory = memory_of(&sizes);
    void* instance = memory.block[EMULSION_INSTANCE];
    for (int i = 0; i < info->output_count; i++)
        outputs[i] = aligned_bytes(port_bytes(info, &info->outputs[i]));
    for (int i = 0; i < info->input_count; i++) bound[i] = inputs[i];
    const float* loss = outputs[port_named(info->outputs, info->output_count, "loss")];
    emulsion_call call = {0, 0, bound, outputs};
    int status = net->train_init(1, &memory);
    if (status == EMULSION_OK) status = net->train_bind(instance, &memory, options);
    if (status != EMULSION_OK) fail(net->name, "bind", status, net->train_error(instance));
    float first = 0, last = 0;
    for (int step = 0; step < kSteps; step++) {
        call.samples = info->batch;
        status = net->train_step(instance, &call, 0.02f);
        if (status != EMULSION_OK) fail(net->name, "step", status, net->train_error(instance));
        if (step == 0) first = *loss;
        last = *loss;
    }
    net->train_unbind(instance);
    printf("%s: loss %.3f at first, %.3f after %d steps\n", net->name, first, last, kSteps - 1);
    if (!isfinite(last) || last > 0.8f * first)
        fail(net->name, "training", 0, "the loss does not fall");
    return memory;
}

/* Copies every tensor of the inference library from the training library's memory. */
static void copy_tensors(const network* net, const emulsion_memory* from,
                         const emulsion_memory* to) {
    const emulsion_info *train = net->train_info(), *infer = net->infer_info();
    for (int i = 0; i < infer->tensor_count; i++) {
        const emulsion_tensor* target = &infer->tensors[i];
        int found = 0;
        for (int k = 0; k < train->tensor_count; k++) {
            const emulsion_tensor* source = &train->tensors[k];
            if (strcmp(source->name, target->name) != 0) continue;
            memcpy((char*)to->block[target->memory_class] + target->offset,
                   (const char*)from->block[source->memory_class] + source->offset,
                   (size_t)target->bytes);
            found = 1;
        }
        if (!found) fail(net->name, "the training library lacks a tensor", 0, target->name);
    }
}

/* Classifies the pictures of the training, one by one; returns how many have their label as best
 * class. */
static int infer(const network* net, const emulsion_options* options,
                 const emulsion_memory* weights, void* const* inputs) {
    const emulsion_info* info = net->infer_info();
    emulsion_sizes sizes;
    void* outputs[kMostPorts];
    net->infer_sizes(options->threads, &sizes);
    const emulsion_memory memory = memory_of(&sizes);
    void* instance = memory.block[EMULSION_INSTANCE];
    copy_tensors(net, weights, &memory);
    for (int i = 0; i < info->output_count; i++)
        outputs[i] = aligned_bytes(port_bytes(info, &info->outputs[i]));
    int status = net->infer_bind(instance, &memory, options);
    if (status == EMULSION_OK) status = net->infer_prepare(instance);
    if (status != EMULSION_OK) fail(net->name, "bind", status, net->infer_error(instance));
    const float* scores = outputs[port_named(info->outputs, info->output_count, "scores")];
    const float* probabilities =
        outputs[port_named(info->outputs, info->output_count, "probabilities")];
    void* picture = aligned_bytes(info->inputs[0].bytes);
    int right = 0;
    for (int n = 0; n < net->train_info()->batch; n++) {
        memcpy(picture, (char*)inputs[0] + (size_t)n * info->inputs[0].bytes,
               (size_t)info->inputs[0].bytes);
        const void* bound[1] = {picture};
        const emulsion_call call = {1, 0, bound, outputs};
        status = net->infer_run(instance, &call);
        if (status != EMULSION_OK) fail(net->name, "run", status, net->infer_error(instance));
        float sum = 0;
        int best = 0;
        for (int k = 0; k < net->classes; k++) {
            sum += probabilities[k];
            if (scores[k] > scores[best]) best = k;
        }
        if (!(fabsf(sum - 1) < 1e-5f))
            fail(net->name, "run", 0, "the probabilities do not sum to 1");
        right += best == ((const int32_t*)inputs[1])[n];
    }
    net->infer_unbind(instance);
    printf("%s: %d of %d pictures known\n", net->name, right, net->train_info()->batch);
    return right;
}

/* The macros of a header are what `sizes` states and bind asks for. */
#define CHECK_MACROS(name, NAME, threads)                                         \
    do {                                                                          \
        emulsion_sizes sizes;                                                     \
        name##_sizes(threads, &sizes);                                            \
        if (sizes.bytes[EMULSION_PARAMETERS] != NAME##_PARAMETERS_BYTES ||        \
            sizes.bytes[EMULSION_GRADIENTS] != NAME##_GRADIENTS_BYTES ||          \
            sizes.bytes[EMULSION_STATE] != NAME##_STATE_BYTES ||                  \
            sizes.bytes[EMULSION_PREPARED] != NAME##_PREPARED_BYTES ||            \
            sizes.bytes[EMULSION_WORKSPACE] != NAME##_WORKSPACE_BYTES(threads) || \
            sizes.bytes[EMULSION_INSTANCE] != NAME##_INSTANCE_BYTES(threads))     \
            fail(#name, "a macro", 0, "its bytes are not those of sizes");        \
    } while (0)

static void check_macros(void) {
    for (int threads = 1; threads <= 7; threads++) {
        CHECK_MACROS(mlp_train, MLP_TRAIN, threads);
        CHECK_MACROS(mlp_infer, MLP_INFER, threads);
        CHECK_MACROS(small_train, SMALL_TRAIN, threads);
        CHECK_MACROS(small_infer, SMALL_INFER, threads);
    }
}

int main(int argc, char** argv) {
    static const network networks[] = {NETWORK(mlp, 10), NETWORK(small, 5)};
    emulsion_options options;
    memset(&options, 0, sizeof options);
    options.threads = argc > 1 ? atoi(argv[1]) : 2;
    check_macros();
    for (int i = 0; i < 2; i++) {
        const network* net = &networks[i];
        const emulsion_info* info = net->train_info();
        void* inputs[kMostPorts];
        if (info->input_count > kMostPorts || info->output_count > kMostPorts) return 1;
        for (int k = 0; k < info->input_count; k++)
            inputs[k] = aligned_bytes(port_bytes(info, &info->inputs[k]));
        fill(info, inputs, net->classes);
        const emulsion_memory weights = train(net, &options, inputs);
        if (infer(net, &options, &weights, inputs) < info->batch / 2) return 1;
    }
    return 0;
}

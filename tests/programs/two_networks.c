/* A C99 program that links the training and inference libraries of one network and the inference library of another:
 * it trains one-conv on two kinds of pictures, hands the parameters over as they lie in memory, and classifies. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mlp_infer.h"
#include "one_conv_infer.h"
#include "one_conv_train.h"

enum { BATCH = ONE_CONV_TRAIN_BATCH, PIXELS = 28 * 28, CLASSES = 10 };

static void require(int condition, const char* what) {
    if (condition) return;
    fprintf(stderr, "two_networks: %s\n", what);
    exit(1);
}

static void check(int status, const char* what, const char* (*error)(const void*), const void* instance) {
    if (status == EMULSION_OK) return;
    fprintf(stderr, "two_networks: %s: status %d, %s\n", what, status, error ? error(instance) : "");
    exit(1);
}

/* One block of memory, aligned as the libraries ask for it, without C11's aligned_alloc. */
static void* block(size_t bytes) {
    char* memory = calloc(1, bytes + EMULSION_ALIGNMENT);
    require(memory != NULL, "out of memory");
    return memory + (EMULSION_ALIGNMENT - (size_t)memory % EMULSION_ALIGNMENT);
}

/* Memory is sized for one thread, so one thread is what bind must be asked for. */
static const emulsion_options kOneThread = {1, 0, 0, 0, NULL, NULL, NULL};

static void allocate(emulsion_memory* memory, const emulsion_sizes* sizes) {
    int c;
    for (c = 0; c < EMULSION_CLASSES; c++) memory->block[c] = block(sizes->bytes[c]);
}

/* Pictures of label 0 have horizontal bars, those of label 1 vertical ones, shifted from picture to picture. */
static void draw(float* pictures, int32_t* labels) {
    int i, y, x;
    for (i = 0; i < BATCH; i++) {
        labels[i] = i % 2;
        for (y = 0; y < 28; y++)
            for (x = 0; x < 28; x++)
                pictures[i * PIXELS + y * 28 + x] = ((labels[i] ? x : y) + i) / 2 % 2 ? 1.0f : -1.0f;
    }
}

/* Trains for 200 steps on the pictures; the loss must fall below a tenth of where it began. */
static void train(const emulsion_memory* memory, void* instance, const float* pictures, const int32_t* labels) {
    const void* inputs[2];
    void* outputs[2];
    float *loss = block(sizeof(float)), *correct = block(sizeof(float)), first = 0.0f;
    emulsion_options options;
    emulsion_call call;
    int step;
    memset(&options, 0, sizeof options);
    memset(&call, 0, sizeof call);
    options.threads = 2;
    check(one_conv_train_init(1, memory), "init", NULL, NULL);
    check(one_conv_train_bind(instance, memory, &options), "bind", one_conv_train_error, instance);
    inputs[0] = pictures, inputs[1] = labels, outputs[0] = loss, outputs[1] = correct;
    call.samples = BATCH, call.inputs = inputs, call.outputs = outputs;
    for (step = 0; step < 200; step++) {
        check(one_conv_train_step(instance, &call, 0.05f), "step", one_conv_train_error, instance);
        if (step == 0) first = *loss;
    }
    one_conv_train_unbind(instance);
    printf("loss %.4f, then %.4f\n", (double)first, (double)*loss);
    require(*loss < 0.1f * first, "training did not reduce the loss to a tenth");
}

/* How many of the pictures the inference library classifies right, four at a time. */
static int classify(void* instance, const float* pictures, const int32_t* labels) {
    float* scores = block(4 * CLASSES * sizeof(float));
    float* output = block(4 * CLASSES * sizeof(float)); /* probabilities: (n, class) */
    float* input = block(4 * PIXELS * sizeof(float));
    const void* inputs[1];
    void* outputs[2];
    emulsion_call call;
    int right = 0, i, k, s;
    memset(&call, 0, sizeof call);
    inputs[0] = input, outputs[0] = scores, outputs[1] = output;
    call.samples = 4, call.inputs = inputs, call.outputs = outputs;
    for (i = 0; i < BATCH; i += 4) {
        memcpy(input, pictures + i * PIXELS, 4 * PIXELS * sizeof(float));
        check(one_conv_infer_run(instance, &call), "run", one_conv_infer_error, instance);
        for (s = 0; s < 4; s++) {
            int best = 0;
            for (k = 1; k < CLASSES; k++)
                if (output[s * CLASSES + k] > output[s * CLASSES + best]) best = k;
            right += best == labels[i + s];
        }
    }
    return right;
}

/* The other network, with all parameters zero, finds every class equally likely. */
static void run_mlp(const float* pictures) {
    float *scores = block(CLASSES * sizeof(float)), *output = block(CLASSES * sizeof(float));
    const void* inputs[1];
    void* outputs[2];
    emulsion_call call;
    emulsion_sizes sizes;
    emulsion_memory memory;
    void* instance;
    int k;
    check(mlp_infer_sizes(1, &sizes), "sizes of mlp", NULL, NULL);
    allocate(&memory, &sizes);
    instance = memory.block[EMULSION_INSTANCE];
    check(mlp_infer_bind(instance, &memory, &kOneThread), "bind mlp", mlp_infer_error, instance);
    check(mlp_infer_prepare(instance), "prepare mlp", mlp_infer_error, instance);
    memset(&call, 0, sizeof call);
    inputs[0] = pictures, outputs[0] = scores, outputs[1] = output;
    call.samples = 1, call.inputs = inputs, call.outputs = outputs;
    check(mlp_infer_run(instance, &call), "run mlp", mlp_infer_error, instance);
    for (k = 0; k < CLASSES; k++) require(fabs(output[k] - 0.1) < 1e-6, "mlp with zero weights is not indifferent");
    mlp_infer_unbind(instance);
}

int main(void) {
    float* pictures = block(BATCH * PIXELS * sizeof(float)); /* (n, h, w) */
    int32_t* labels = block(BATCH * sizeof(int32_t));
    emulsion_sizes sizes;
    emulsion_memory trained, memory;
    void* instance;
    int right;
    draw(pictures, labels);
    require(strcmp(one_conv_train_info()->signature, one_conv_infer_info()->signature) == 0, "signatures differ");
    check(one_conv_train_sizes(2, &sizes), "sizes", NULL, NULL);
    allocate(&trained, &sizes);
    train(&trained, trained.block[EMULSION_INSTANCE], pictures, labels);

    check(one_conv_infer_sizes(1, &sizes), "sizes", NULL, NULL);
    allocate(&memory, &sizes);
    memory.block[EMULSION_PARAMETERS] = trained.block[EMULSION_PARAMETERS];
    instance = memory.block[EMULSION_INSTANCE];
    check(one_conv_infer_bind(instance, &memory, &kOneThread), "bind", one_conv_infer_error, instance);
    check(one_conv_infer_prepare(instance), "prepare", one_conv_infer_error, instance);
    right = classify(instance, pictures, labels);
    one_conv_infer_unbind(instance);
    printf("%d of %d right\n", right, BATCH);
    require(right == BATCH, "a picture is classified wrongly");
    run_mlp(pictures);
    puts("both networks ran");
    return 0;
}

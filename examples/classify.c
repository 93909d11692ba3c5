/* Classifies the pictures of an IDX file with the inference library of lenet: a C99 program that
 * needs nothing but the generated header and archive.
 *
 *   emulsion build examples/networks/lenet.cpp -o out
 *   cc -std=c99 -O2 -Iout examples/classify.c out/lenet_infer.a -static -lpthread -lm -o classify
 *   ./classify run1/weights.safetensors t10k-images-idx3-ubyte [COUNT]
 *
 * Weights are read from a safetensors file: the length of a JSON header, the header, which gives
 * the place of each tensor by name, and the values in logical order. All memory is the program's;
 * the library asks for none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lenet_infer.h"

static void fail(const char* what, const char* which) {
    fprintf(stderr, "classify: %s: %s\n", which, what);
    exit(1);
}

/* Zeroed bytes aligned to EMULSION_ALIGNMENT, kept until the program ends. */
static void* aligned_bytes(uint64_t bytes) {
    char* block = calloc(1, (size_t)bytes + EMULSION_ALIGNMENT);
    if (block == NULL) fail("no memory", "bytes");
    return block + (EMULSION_ALIGNMENT - (uintptr_t)block % EMULSION_ALIGNMENT);
}

/* A whole file, with a 0 behind its last byte. */
static char* read_file(const char* path, uint64_t* bytes) {
    FILE* file = fopen(path, "rb");
    long size = -1;
    char* data;
    if (file == NULL) fail("cannot be opened", path);
    if (fseek(file, 0, SEEK_END) == 0) size = ftell(file);
    if (size < 0 || fseek(file, 0, SEEK_SET) != 0) fail("cannot be read", path);
    data = aligned_bytes((uint64_t)size + 1);
    if (fread(data, 1, (size_t)size, file) != (size_t)size) fail("cannot be read", path);
    fclose(file);
    *bytes = (uint64_t)size;
    return data;
}

static uint64_t little_endian(const char* bytes, int count) {
    uint64_t value = 0;
    while (count-- > 0) value = value << 8 | (unsigned char)bytes[count];
    return value;
}

static uint32_t big_endian(const char* bytes) {
    uint32_t value = 0;
    int i;
    for (i = 0; i < 4; i++) value = value << 8 | (unsigned char)bytes[i];
    return value;
}

/* The values of a tensor in logical order: [O][C][S], S being the places of a filter or of a
 * flattened map. In memory they are [O/16][S][C][16], output channels innermost; a tensor without
 * axes is one value. */
static void place(const emulsion_tensor* tensor, const float* values,
                  const emulsion_memory* memory) {
    float* target = (float*)(void*)((char*)memory->block[tensor->memory_class] + tensor->offset);
    const int64_t outputs = tensor->rank > 0 ? tensor->shape[0] : 1;
    int64_t channels = tensor->rank > 1 ? tensor->shape[1] : 1, places = 1, o, c, s;
    for (s = 2; s < tensor->rank; s++) places *= tensor->shape[s];
    if (tensor->flattened[0] > 0) {
        channels = tensor->flattened[0];
        places = tensor->flattened[1] * tensor->flattened[2];
    }
    for (o = 0; o < outputs; o++)
        for (c = 0; c < channels; c++)
            for (s = 0; s < places; s++)
                target[((o / 16 * places + s) * channels + c) * 16 + o % 16] = *values++;
}

/* The text of one entry of the header's metadata, or NULL. */
static const char* metadata(const char* header, const char* key) {
    char start[32];
    const char* at;
    snprintf(start, sizeof start, "\"%s\":\"", key);
    at = strstr(header, start);
    return at != NULL ? at + strlen(start) : NULL;
}

/* Whether a list of numbers, or NULL, begins with this one. */
static int begins_with(const char* list, float number) {
    return list != NULL && strtof(list + 1, NULL) == number;
}

/* Refuses weights that mean something else here: of another network, of pictures that were
 * normalized otherwise, or of other classes. */
static void check_origin(const char* path, const char* header, const emulsion_info* info) {
    const char *signature = metadata(header, "signature"), *mean = metadata(header, "mean");
    const char *deviation = metadata(header, "deviation"), *at = metadata(header, "classes");
    const size_t length = strlen(info->signature);
    char name[256];
    int i;
    if (signature == NULL || strncmp(signature, info->signature, length) != 0 ||
        signature[length] != '"')
        fail("belongs to another network", path);
    if (info->normalized ? !begins_with(mean, info->input_mean[0]) ||
                               !begins_with(deviation, info->input_deviation[0])
                         : mean != NULL || deviation != NULL)
        fail("was trained with another normalization", path);
    for (i = 0; i < info->class_count; i++) {
        snprintf(name, sizeof name, "%s\\\"%s\\\"", i > 0 ? ", " : "[", info->classes[i]);
        if (at == NULL || strncmp(at, name, strlen(name)) != 0)
            fail("was trained with other classes", path);
        at += strlen(name);
    }
}

/* Finds every tensor of the library in the weights file and places it. */
static void load_weights(const char* path, const emulsion_info* info,
                         const emulsion_memory* memory) {
    uint64_t bytes, header, begin, end, count;
    char key[256], *file = read_file(path, &bytes), *at, *values;
    int i, k;
    if (bytes < 8 || (header = little_endian(file, 8)) > bytes - 8)
        fail("is no safetensors file", path);
    values = aligned_bytes(bytes - 8 - header + 1);
    memcpy(values, file + 8 + header, (size_t)(bytes - 8 - header));
    file[8 + header] = 0;
    check_origin(path, file + 8, info);
    for (i = 0; i < info->tensor_count; i++) {
        const emulsion_tensor* tensor = &info->tensors[i];
        for (count = 4, k = 0; k < tensor->rank; k++) count *= (uint64_t)tensor->shape[k];
        snprintf(key, sizeof key, "\"%s\":{", tensor->name);
        if ((at = strstr(file + 8, key)) == NULL || (at = strstr(at, "\"data_offsets\":[")) == NULL)
            fail("is missing in the weights file", tensor->name);
        begin = strtoull(at + 16, &at, 10);
        end = *at == ',' ? strtoull(at + 1, &at, 10) : 0;
        if (end > bytes - 8 - header || begin > end || end - begin != count || begin % 4 != 0)
            fail("has other bytes than the library expects", tensor->name);
        place(tensor, (const float*)(const void*)(values + begin), memory);
    }
}

static void check(int status, const char* action, const void* instance) {
    if (status != EMULSION_OK) fail(lenet_infer_error(instance), action);
}

/* Runs `count` pictures of one channel, as many at once as the library takes, and prints their
 * classes. */
static void classify(const emulsion_info* info, void* instance, const char* pixels,
                     uint32_t count) {
    const size_t area = (size_t)(info->inputs[0].bytes / 4), classes = (size_t)info->class_count;
    float* picture = aligned_bytes(info->inputs[0].bytes * (uint64_t)info->batch); /* (n, h, w) */
    float* scores = aligned_bytes(4 * classes * (uint64_t)info->batch);
    float* probabilities = aligned_bytes(4 * classes * (uint64_t)info->batch); /* (n, class) */
    const float mean = info->normalized ? info->input_mean[0] : 0;
    const float deviation = info->normalized ? info->input_deviation[0] : 1;
    const void* inputs[1];
    void* outputs[2];
    emulsion_call call = {0, 0, inputs, outputs};
    uint32_t first, n;
    size_t i, best;
    inputs[0] = picture, outputs[0] = scores, outputs[1] = probabilities;
    for (first = 0; first < count; first += (uint32_t)call.samples) {
        call.samples =
            count - first < (uint32_t)info->batch ? (int32_t)(count - first) : info->batch;
        for (i = 0; i < area * (size_t)call.samples; i++)
            picture[i] = ((float)(unsigned char)pixels[area * first + i] / 255 - mean) / deviation;
        check(lenet_infer_run(instance, &call), "run", instance);
        for (n = 0; n < (uint32_t)call.samples; n++) {
            const float* of = probabilities + n * classes;
            for (best = 0, i = 1; i < classes; i++)
                if (of[i] > of[best]) best = i;
            printf("%u: %s %.3f\n", (unsigned)(first + n), info->classes[best], (double)of[best]);
        }
    }
}

int main(int argc, char** argv) {
    const emulsion_info* info = lenet_infer_info();
    const emulsion_port* input = &info->inputs[0];
    emulsion_memory memory;
    void* instance;
    uint64_t bytes;
    uint32_t count;
    char* pictures;
    int i;
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: classify WEIGHTS.safetensors IDX-IMAGES [COUNT]\n");
        return 2;
    }
    pictures = read_file(argv[2], &bytes);
    if (bytes < 16 || big_endian(pictures) != 2051 ||
        big_endian(pictures + 8) != (uint64_t)input->shape[1] ||
        big_endian(pictures + 12) != (uint64_t)input->shape[2])
        fail("is no IDX file of pictures of the network's size", argv[2]);
    count = big_endian(pictures + 4);
    if (count > (bytes - 16) / (input->bytes / 4))
        fail("holds fewer pictures than it says", argv[2]);
    if (argc == 4 && strtoul(argv[3], NULL, 10) < count)
        count = (uint32_t)strtoul(argv[3], NULL, 10);

    if (lenet_infer_sizes(1, &memory.sizes) != EMULSION_OK)
        fail("the sizes cannot be stated", "one thread");
    for (i = 0; i < EMULSION_CLASSES; i++) memory.block[i] = aligned_bytes(memory.sizes.bytes[i]);
    instance = memory.block[EMULSION_INSTANCE];
    load_weights(argv[1], info, &memory);
    check(lenet_infer_bind(instance, &memory, NULL), "bind", instance);
    check(lenet_infer_prepare(instance), "prepare", instance);
    classify(info, instance, pictures + 16, count);
    lenet_infer_unbind(instance);
    return 0;
}

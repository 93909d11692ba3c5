/* What Halide's modules for Vulkan hold. In words of 32 bits, names being a count of words and
 * then characters that end with a zero:
 *
 *     the number of kernels; of each: the bytes of its part, its name
 *     the parts, of each kernel:
 *         the words in front of the SPIR-V; the number of entry points (1); the entry's name
 *         the numbers of uniform buffers (0 or 1: the scalars) and of storage buffers
 *         the number of specialisation constants; of each: name, id, bytes
 *         the number of shared arrays; of each: name, id of the constant for its length (0: it has
 *         a fixed one), bytes of an element, length
 *         ids of the constants for the threads of a block along three axes (0: they are fixed)
 *         SPIR-V
 */
#include <string.h>

#include "runtime/abi/vulkan.h"

/* What is left to read. A read beyond the end makes it bad, and gives zeros. */
typedef struct Reader {
    const unsigned char* at;
    size_t bytes;
    int is_bad;
} Reader;

static const unsigned char* take(Reader* reader, size_t bytes) {
    const unsigned char* at = reader->at;
    if (reader->is_bad || bytes > reader->bytes) {
        reader->is_bad = 1;
        return NULL;
    }
    reader->at += bytes;
    reader->bytes -= bytes;
    return at;
}

static uint32_t take_word(Reader* reader) {
    uint32_t word = 0;
    const unsigned char* at = take(reader, sizeof word);
    if (at != NULL) memcpy(&word, at, sizeof word);
    return word;
}

static const char* take_name(Reader* reader) {
    const size_t bytes = (size_t)take_word(reader) * sizeof(uint32_t);
    const char* name = (const char*)take(reader, bytes);
    if (name != NULL && bytes > 0 && name[bytes - 1] == 0) return name;
    reader->is_bad = 1;
    return "";
}

/* The part of the kernel; its bytes are 0 where there is none of this name. */
static Reader find_part(Reader text, const char* name, int* is_bad) {
    const uint32_t count = take_word(&text);
    size_t before = 0;
    Reader part = {NULL, 0, 0};
    for (uint32_t i = 0; i < count && !text.is_bad; i++) {
        const size_t bytes = take_word(&text);
        const int is_it = strcmp(take_name(&text), name) == 0;
        if (is_it) part = (Reader){(const unsigned char*)"", bytes, 0};
        if (part.at == NULL) before += bytes;
    }
    if (part.at != NULL) {
        take(&text, before);
        part.at = take(&text, part.bytes);
    }
    *is_bad = text.is_bad;
    return part;
}

/* 0, and `why`, where a kernel leaves open what nothing here sets: a length of shared memory, or
 * the threads of a block. */
static int read_sizes(Reader* part, emulsion_vulkan_code* code, const char** why) {
    const uint32_t count = take_word(part);
    uint32_t is_open = 0;
    *why = "leaves the size of its shared memory open";
    for (uint32_t i = 0; i < count && !part->is_bad; i++) {
        take_name(part);
        is_open |= take_word(part);
        const uint64_t bytes = take_word(part);
        code->shared += bytes * take_word(part);
    }
    if (is_open) return 0;
    *why = "leaves the threads of its blocks open";
    for (int axis = 0; axis < 3; axis++) is_open |= take_word(part);
    return !is_open;
}

int emulsion_vulkan_find_code(const void* text, size_t bytes, const char* name,
                              emulsion_vulkan_code* code, const char** why) {
    int is_bad;
    memset(code, 0, sizeof *code);
    const Reader whole = find_part((Reader){text, bytes, 0}, name, &is_bad);
    *why = is_bad ? "is in a module that is cut off" : "is not in its module";
    if (is_bad || whole.at == NULL) return 0;
    Reader part = whole;
    const size_t front = (size_t)take_word(&part) * sizeof(uint32_t);
    const uint32_t entries = take_word(&part);
    take_name(&part);
    code->has_scalars = take_word(&part);
    code->buffers = take_word(&part);
    const uint32_t constants = take_word(&part);
    for (uint32_t i = 0; i < constants && !part.is_bad; i++) {
        take_name(&part);
        take(&part, 2 * sizeof(uint32_t));
    }
    if (!read_sizes(&part, code, why) && !part.is_bad) return 0;
    Reader spirv = whole;
    take(&spirv, front);
    *why = "is in a module of another form";
    if (part.is_bad || spirv.is_bad || entries != 1 || code->has_scalars > 1 ||
        spirv.bytes % sizeof(uint32_t) != 0)
        return 0;
    code->words = spirv.at;
    code->bytes = spirv.bytes;
    return 1;
}

enum {
    kHeader = 5, /* words of a module of SPIR-V in front of its instructions */
    kCapability = 17
};

int64_t emulsion_vulkan_missing(const uint32_t* words, size_t count,
                                int (*has)(const void* device, uint32_t capability),
                                const void* device) {
    size_t length;
    for (size_t i = kHeader; i + 1 < count; i += length) {
        length = words[i] >> 16;
        /* They come first. */
        if (length != 2 || (words[i] & 0xffff) != kCapability) break;
        if (!has(device, words[i + 1])) return words[i + 1];
    }
    return -1;
}

/* halide_malloc and halide_free: a stack in the slab of the worker that calls.
 *
 * A block is a header line of 64 bytes and its bytes. Frees may come in any order: a freed block
 * that is not on top stays as a hole until everything above it is freed. Halide's Allocate nodes
 * nest, so the bytes in use, holes included, never exceed the sum over the Allocates around the
 * place: the figure that slabs are sized by. A slab too small is a fault of the compiler; it ends
 * the program instead of writing outside. */
#include <stdlib.h>

#include "runtime/abi/internal.h"

typedef struct {
    uint64_t previous; /* `last` of the worker before this block */
    uint64_t freed;
} Header;

static Header* header_of(const emulsion_worker* worker, uint64_t last) {
    return (Header*)(void*)(worker->slab + (last - 1));
}

void* halide_malloc(void* user_context, size_t bytes) {
    emulsion_worker* worker = (emulsion_worker*)user_context;
    const uint64_t start = worker->used;
    if (bytes > worker->slab_bytes || emulsion_slab_bytes_of(bytes) > worker->slab_bytes - start)
        abort();
    Header* header = header_of(worker, start + 1);
    header->previous = worker->last;
    header->freed = 0;
    worker->last = start + 1;
    worker->used = start + emulsion_slab_bytes_of(bytes);
    return worker->slab + start + EMULSION_ALIGNMENT;
}

void halide_free(void* user_context, void* block) {
    emulsion_worker* worker = (emulsion_worker*)user_context;
    if (block == NULL) return;
    ((Header*)(void*)((char*)block - EMULSION_ALIGNMENT))->freed = 1;
    while (worker->last != 0 && header_of(worker, worker->last)->freed) {
        worker->used = worker->last - 1;
        worker->last = header_of(worker, worker->last)->previous;
    }
}

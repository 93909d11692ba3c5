/* What the generated `main` of a program hands to the runtime: the functions of its libraries as
 * tables of pointers. The compiler writes these tables in LLVM IR, so each struct is pointers only,
 * in this order. */
#pragma once
#include "runtime/abi/emulsion_abi.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef struct emulsion_train_library {
    const emulsion_info* (*info)(void);
    int (*sizes)(int threads, emulsion_sizes* sizes);
    int (*device)(int index, emulsion_device_description* description);
    int (*speed)(int index, emulsion_device_speed* speed);
    int (*init)(uint64_t seed, const emulsion_memory* memory);
    int (*bind)(void* instance, const emulsion_memory* memory, const emulsion_options* options);
    int (*upload)(void* instance, int memory_class);
    int (*forward_backward)(void* instance, const emulsion_call* call); /* null: at once */
    int (*update)(void* instance, float learning_rate);                 /* null: at once */
    int (*step)(void* instance, const emulsion_call* call, float learning_rate);
    int (*wait)(void* instance);
    int (*download)(void* instance, int memory_class);
    const char* (*error)(const void* instance);
    int (*unbind)(void* instance);
} emulsion_train_library;

typedef struct emulsion_infer_library {
    const emulsion_info* (*info)(void);
    int (*sizes)(int threads, emulsion_sizes* sizes);
    int (*device)(int index, emulsion_device_description* description);
    int (*speed)(int index, emulsion_device_speed* speed);
    int (*prepare)(void* instance);
    int (*bind)(void* instance, const emulsion_memory* memory, const emulsion_options* options);
    int (*run)(void* instance, const emulsion_call* call);
    int (*wait)(void* instance);
    const char* (*error)(const void* instance);
    int (*unbind)(void* instance);
} emulsion_infer_library;

/* The programs. `description` is the text of the model's training settings and manifest facts, as
 * JSON (compiler/codegen/manifest writes it). `saliency` is the library of the network that
 * compiler/autodiff/input_gradients.h makes, or null where the build was not asked for it. Both
 * return the exit code: 0 done, 1 failed, 2 wrong usage. */
int emulsion_train_main(int argc, char** argv, const emulsion_train_library* train,
                        const emulsion_infer_library* infer, const char* description);
int emulsion_infer_main(int argc, char** argv, const emulsion_infer_library* infer,
                        const emulsion_infer_library* saliency, const char* description);

#ifdef __cplusplus
}
#endif

/* Kernels in SPIR-V, word by word: instructions and their operands, for the kernels of the
 * runtime's own. */
#pragma once
#include <stdint.h>

enum {
    kMemoryModel = 14,
    kEntryPoint = 15,
    kExecutionMode = 16,
    kCapability = 17,
    kTypeVoid = 19,
    kTypeBool = 20,
    kTypeInt = 21,
    kTypeFloat = 22,
    kTypeVector = 23,
    kTypeRuntimeArray = 29,
    kTypeStruct = 30,
    kTypePointer = 32,
    kTypeFunction = 33,
    kConstant = 43,
    kFunction = 54,
    kFunctionEnd = 56,
    kVariable = 59,
    kLoad = 61,
    kStore = 62,
    kAccessChain = 65,
    kDecorate = 71,
    kMemberDecorate = 72,
    kCompositeConstruct = 80,
    kCompositeExtract = 81,
    kConvertUToF = 112,
    kIAdd = 128,
    kFAdd = 129,
    kISub = 130,
    kIMul = 132,
    kFMul = 133,
    kLogicalOr = 166,
    kIEqual = 170,
    kINotEqual = 171,
    kULessThan = 176,
    kShiftRightLogical = 194,
    kShiftLeftLogical = 196,
    kBitwiseAnd = 199,
    kNot = 200,
    kAtomicCompareExchange = 230,
    kAtomicUMax = 239,
    kPhi = 245,
    kLoopMerge = 246,
    kSelectionMerge = 247,
    kLabel = 248,
    kBranch = 249,
    kBranchConditional = 250,
    kReturn = 253
};

/* Operands. */
enum { kShader = 1, kLogical = 0, kGlsl450 = 1, kGlCompute = 5, kLocalSize = 17, kNone = 0 };
enum { kInput = 1, kUniform = 2 };
enum {
    kBlock = 2,
    kBufferBlock = 3,
    kArrayStride = 6,
    kBuiltIn = 11,
    kBinding = 33,
    kDescriptorSet = 34,
    kOffset = 35,
    kGlobalInvocationId = 28
};

/* The head of a module of SPIR-V 1.0, whose results are numbered below `bound`. */
#define SPIRV_HEAD(bound) 0x07230203, 0x00010000, 0, bound, 0

/* An instruction with its operands, and one without. */
#define OP(name, ...)                                                                       \
    ((uint32_t)(1 + sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t)) << 16 | k##name), \
        __VA_ARGS__
#define LONE(name) (1u << 16 | k##name)

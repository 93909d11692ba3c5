/* The test for values that are not finite, by Vulkan. A kernel in SPIR-V, which does
 *
 *     uniform { uint index, count, step, number, begins; };
 *     buffer { uint values[]; };
 *     buffer { uint flag[]; };
 *     buffer { uint record[]; };
 *     for (uint i = gl_GlobalInvocationID.x; i < count; i += step) {
 *         if (begins != 0) record[0] = record[1] = 0;
 *         if ((values[i] & 0x7f800000) == 0x7f800000) {
 *             uint former = atomicCompSwap(flag[0], 0, number);
 *             if (former == 0 || former == number) {
 *                 record[0] = number;
 *                 atomicMax(record[1], ~(index + i));
 *             }
 *             break;
 *         }
 *     }
 *
 * An exponent of ones is a NaN's or an infinity's; the record gets the smallest index, whatever
 * the order of the threads. */
#include "runtime/abi/vulkan.h"
#include "runtime/abi/vulkan_words.h"

typedef emulsion_vulkan_device Device;

enum {
    kThreads = 128, /* every driver runs as many */
    kBlocks = 256
};

/* Results: types, variables, constants, values, blocks. */
enum {
    tVoid = 1,
    tFunction,
    tBool,
    tUint,
    tUint3,
    tScalars,
    tWords,
    tBuffer,
    toUint3,
    toScalars,
    toBuffer,
    toUint,
    vMain,
    vInvocation,
    vScalars,
    vValues,
    vFlag,
    vRecord,
    c0,
    c1,
    c2,
    c3,
    c4,
    cExponent,
    rInvocation,
    rFirst,
    pIndex,
    rIndex,
    pCount,
    rCount,
    pStep,
    rStep,
    pNumber,
    rNumber,
    pBegins,
    rBegins,
    rDoesBegin,
    pRecord0,
    pRecord1,
    pFlag,
    rI,
    rNext,
    rIsInside,
    pValue,
    rValue,
    rBits,
    rIsBad,
    rFormer,
    rIsFirst,
    rIsOwn,
    rMayTell,
    rWhere,
    rInverse,
    rMost,
    lStart,
    lLoop,
    lBody,
    lClear,
    lTest,
    lBad,
    lTell,
    lTold,
    lGood,
    lContinue,
    lEnd,
    kBound
};

#define NAME 0x696e6966, 0x6574 /* "finite" */
#define GIVEN(place, value, member) \
    OP(AccessChain, toUint, place, vScalars, member), OP(Load, tUint, value, place)

/* Scopes and orders of atomics are constants: the device is 1, no order 0. */
static const uint32_t words[] = {
    SPIRV_HEAD(kBound),
    OP(Capability, kShader),
    OP(MemoryModel, kLogical, kGlsl450),
    OP(EntryPoint, kGlCompute, vMain, NAME, vInvocation),
    OP(ExecutionMode, vMain, kLocalSize, kThreads, 1, 1),
    OP(Decorate, vInvocation, kBuiltIn, kGlobalInvocationId),
    OP(Decorate, tScalars, kBlock),
    OP(MemberDecorate, tScalars, 0, kOffset, 0),
    OP(MemberDecorate, tScalars, 1, kOffset, 4),
    OP(MemberDecorate, tScalars, 2, kOffset, 8),
    OP(MemberDecorate, tScalars, 3, kOffset, 12),
    OP(MemberDecorate, tScalars, 4, kOffset, 16),
    OP(Decorate, tWords, kArrayStride, 4),
    OP(Decorate, tBuffer, kBufferBlock),
    OP(MemberDecorate, tBuffer, 0, kOffset, 0),
    OP(Decorate, vScalars, kDescriptorSet, 0),
    OP(Decorate, vScalars, kBinding, 0),
    OP(Decorate, vValues, kDescriptorSet, 0),
    OP(Decorate, vValues, kBinding, 1),
    OP(Decorate, vFlag, kDescriptorSet, 0),
    OP(Decorate, vFlag, kBinding, 2),
    OP(Decorate, vRecord, kDescriptorSet, 0),
    OP(Decorate, vRecord, kBinding, 3),

    OP(TypeVoid, tVoid),
    OP(TypeFunction, tFunction, tVoid),
    OP(TypeBool, tBool),
    OP(TypeInt, tUint, 32, 0),
    OP(TypeVector, tUint3, tUint, 3),
    OP(TypeStruct, tScalars, tUint, tUint, tUint, tUint, tUint),
    OP(TypeRuntimeArray, tWords, tUint),
    OP(TypeStruct, tBuffer, tWords),
    OP(TypePointer, toUint3, kInput, tUint3),
    OP(TypePointer, toScalars, kUniform, tScalars),
    OP(TypePointer, toBuffer, kUniform, tBuffer),
    OP(TypePointer, toUint, kUniform, tUint),
    OP(Variable, toUint3, vInvocation, kInput),
    OP(Variable, toScalars, vScalars, kUniform),
    OP(Variable, toBuffer, vValues, kUniform),
    OP(Variable, toBuffer, vFlag, kUniform),
    OP(Variable, toBuffer, vRecord, kUniform),
    OP(Constant, tUint, c0, 0),
    OP(Constant, tUint, c1, 1),
    OP(Constant, tUint, c2, 2),
    OP(Constant, tUint, c3, 3),
    OP(Constant, tUint, c4, 4),
    OP(Constant, tUint, cExponent, 0x7f800000),

    OP(Function, tVoid, vMain, kNone, tFunction),
    OP(Label, lStart),
    OP(Load, tUint3, rInvocation, vInvocation),
    OP(CompositeExtract, tUint, rFirst, rInvocation, 0),
    GIVEN(pIndex, rIndex, c0),
    GIVEN(pCount, rCount, c1),
    GIVEN(pStep, rStep, c2),
    GIVEN(pNumber, rNumber, c3),
    GIVEN(pBegins, rBegins, c4),
    OP(INotEqual, tBool, rDoesBegin, rBegins, c0),
    OP(AccessChain, toUint, pFlag, vFlag, c0, c0),
    OP(AccessChain, toUint, pRecord0, vRecord, c0, c0),
    OP(AccessChain, toUint, pRecord1, vRecord, c0, c1),
    OP(Branch, lLoop),

    OP(Label, lLoop),
    OP(Phi, tUint, rI, rFirst, lStart, rNext, lContinue),
    OP(ULessThan, tBool, rIsInside, rI, rCount),
    OP(LoopMerge, lEnd, lContinue, kNone),
    OP(BranchConditional, rIsInside, lBody, lEnd),

    OP(Label, lBody),
    OP(SelectionMerge, lTest, kNone),
    OP(BranchConditional, rDoesBegin, lClear, lTest),
    OP(Label, lClear),
    OP(Store, pRecord0, c0),
    OP(Store, pRecord1, c0),
    OP(Branch, lTest),

    OP(Label, lTest),
    OP(AccessChain, toUint, pValue, vValues, c0, rI),
    OP(Load, tUint, rValue, pValue),
    OP(BitwiseAnd, tUint, rBits, rValue, cExponent),
    OP(IEqual, tBool, rIsBad, rBits, cExponent),
    OP(SelectionMerge, lGood, kNone),
    OP(BranchConditional, rIsBad, lBad, lGood),

    OP(Label, lBad),
    OP(AtomicCompareExchange, tUint, rFormer, pFlag, c1, c0, c0, rNumber, c0),
    OP(IEqual, tBool, rIsFirst, rFormer, c0),
    OP(IEqual, tBool, rIsOwn, rFormer, rNumber),
    OP(LogicalOr, tBool, rMayTell, rIsFirst, rIsOwn),
    OP(SelectionMerge, lTold, kNone),
    OP(BranchConditional, rMayTell, lTell, lTold),
    OP(Label, lTell),
    OP(Store, pRecord0, rNumber),
    OP(IAdd, tUint, rWhere, rIndex, rI),
    OP(Not, tUint, rInverse, rWhere),
    OP(AtomicUMax, tUint, rMost, pRecord1, c1, c0, rInverse),
    OP(Branch, lTold),
    OP(Label, lTold),
    OP(Branch, lEnd),

    OP(Label, lGood),
    OP(Branch, lContinue),
    OP(Label, lContinue),
    OP(IAdd, tUint, rNext, rI, rStep),
    OP(Branch, lLoop),
    OP(Label, lEnd),
    LONE(Return),
    LONE(FunctionEnd),
};

/* Launching it. */

static const char kName[] = "finite";

/* Values of one launch: a view's. */
static uint64_t part_of(const Device* device, uint64_t count) {
    const uint64_t most = device->limits.maxStorageBufferRange / EMULSION_DEVICE_ALIGNMENT *
                          EMULSION_DEVICE_ALIGNMENT / sizeof(float);
    return count < most ? count : most;
}

static const emulsion_vulkan_view* view_of(Device* device, int memory_class, uint64_t offset,
                                           uint64_t bytes) {
    return (const emulsion_vulkan_view*)(uintptr_t)emulsion_vulkan_make_view(
        &device->base.head, memory_class, offset, bytes);
}

/* Of the values from `index` on. */
static int launch(emulsion_vulkan_kernel* kernel, const emulsion_device_test* test, uint64_t index,
                  uint64_t count) {
    Device* device = kernel->device;
    const emulsion_vulkan_view* views[] = {
        view_of(device, test->memory_class, test->offset + index * sizeof(float),
                count * sizeof(float)),
        view_of(device, EMULSION_STATE, 0, EMULSION_STATE_HEAD),
        view_of(device, EMULSION_WORKSPACE, test->record, sizeof(emulsion_device_record))};
    if (device->base.head.error != 0) return device->base.head.error;
    const uint64_t needed = (count - 1) / kThreads + 1;
    const int blocks[3] = {needed < kBlocks ? (int)needed : kBlocks, 1, 1};
    const uint32_t scalars[] = {(uint32_t)index, (uint32_t)count, (uint32_t)blocks[0] * kThreads,
                                test->number, (uint32_t)test->begins};
    return emulsion_vulkan_launch(kernel, blocks, views, scalars, sizeof scalars);
}

int emulsion_vulkan_test(emulsion_device* head, const emulsion_device_test* test) {
    Device* device = (Device*)head;
    static const int threads[3] = {kThreads, 1, 1};
    static const emulsion_vulkan_code code = {(const unsigned char*)words, sizeof words, 1, 3, 0};
    if (emulsion_device_check_test(&device->base, test) != 0) return head->error;
    emulsion_vulkan_kernel* kernel =
        emulsion_table_find(&device->base.kernels, (uintptr_t)words, (uintptr_t)kName);
    if (kernel == NULL) kernel = emulsion_vulkan_ready_kernel(device, words, kName, &code, threads);
    if (kernel == NULL) return head->error;
    for (uint64_t at = 0; at < test->count; at += part_of(device, test->count - at)) {
        if (launch(kernel, test, at, part_of(device, test->count - at)) != 0) break;
    }
    return head->error;
}

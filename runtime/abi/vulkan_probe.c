/* The probe of Vulkan: a kernel in SPIR-V, which does
 *
 *     uniform { uint kind, bits, rounds; float value; uint threads; };
 *     buffer { vec4 values[]; };
 *     buffer { float found[]; };
 *     uint thread = gl_GlobalInvocationID.x, all = rounds << bits, mask = (1 << bits) - 1;
 *     if (kind == 1) {
 *         float a[8], one = value + value;
 *         for (uint k = 0; k < 8; k++) a[k] = float(thread & 15) * 65536 + 2 + k * 65536;
 *         for (uint round = 0; round < rounds; round++)
 *             for (uint step = 0; step < 16; step++)
 *                 for (uint k = 0; k < 8; k++) a[k] = a[k] * value + one;
 *         found[thread] = a[0] + ... + a[7];
 *     }
 *     if (kind == 2) {
 *         vec4 sum = vec4(0);
 *         for (uint n = thread; n < all; n += threads)
 *             sum += values[(n + (n >> bits) * 4224) & mask];
 *         found[thread] = sum.x + sum.y + sum.z + sum.w;
 *     }
 *     if (kind == 3) {
 *         for (uint n = thread; n < all; n += threads)
 *             values[(n + (n >> bits) * 4224) & mask] = vec4(value);
 *     }
 *
 * with the loops over steps and k unrolled. */
#include "runtime/abi/vulkan.h"
#include "runtime/abi/vulkan_words.h"

typedef emulsion_vulkan_device Device;

enum { kThreads = 128 }; /* every driver runs as many */

/* Results: types, variables, constants, values, blocks. */
enum {
    tVoid = 1,
    tFunction,
    tBool,
    tUint,
    tUint3,
    tFloat,
    tFloat4,
    tScalars,
    tValues,
    tValueBuffer,
    tFounds,
    tFoundBuffer,
    toUint3,
    toScalars,
    toValueBuffer,
    toFoundBuffer,
    toUint,
    toFloat,
    toFloat4,
    vMain,
    vInvocation,
    vScalars,
    vValues,
    vFound,
    c0,
    c1,
    c2,
    c3,
    c4,
    c15,
    cShift,
    cStep, /* 65536.0 */
    cTwo,  /* 2.0 */
    cZero, /* 0.0 */
    rInvocation,
    rThread,
    pKind,
    rKind,
    pBits,
    rBits,
    pRounds,
    rRounds,
    pValue,
    rValue,
    pThreads,
    rThreads,
    rAll,
    rSize,
    rMask,
    rIsAdds,
    rIsReads,
    rIsWrites,
    pFound,
    rOne,
    rOwn,
    rOwnFloat,
    rOwnStep,
    rStart0, /* of the 8 chains */
    rStart7 = rStart0 + 7,
    rRound,
    rNextRound,
    rIsRound,
    rSum1, /* of the chains' ends */
    rSum7 = rSum1 + 6,
    rN,
    rNextN,
    rIsN,
    rPass,
    rPassShift,
    rShifted,
    rAt,
    pRead,
    rRead,
    rReadSum,
    rNextSum,
    rX,
    rY,
    rZ,
    rW,
    rXY,
    rXYZ,
    rXYZW,
    rNoSum,
    rM,
    rNextM,
    rIsM,
    rPassM,
    rPassShiftM,
    rShiftedM,
    rAtM,
    pWritten,
    rWritten,
    lStart,
    lAdds,
    lAddsLoop,
    lAddsBody,
    lAddsNext,
    lAddsEnd,
    lNoAdds,
    lReads,
    lReadsLoop,
    lReadsBody,
    lReadsNext,
    lReadsEnd,
    lNoReads,
    lWrites,
    lWritesLoop,
    lWritesBody,
    lWritesNext,
    lWritesEnd,
    lEnd,
    rChains, /* two for each step and chain, the first step being the loop's own */
    kSteps = 16,
    kChains = 8,
    kBound = rChains + 2 * kChains * (kSteps + 1)
};

/* Chain k behind `step` steps, and the product on the way there. */
#define CHAIN(step, k) (rChains + 2 * (kChains * (step) + (k)))
#define PRODUCT(step, k) (CHAIN(step, k) + 1)
#define MULTIPLY_ADD(step, k)                                         \
    OP(FMul, tFloat, PRODUCT(step, k), CHAIN((step) - 1, k), rValue), \
        OP(FAdd, tFloat, CHAIN(step, k), PRODUCT(step, k), rOne)
#define STEP(step)                                                                              \
    MULTIPLY_ADD(step, 0), MULTIPLY_ADD(step, 1), MULTIPLY_ADD(step, 2), MULTIPLY_ADD(step, 3), \
        MULTIPLY_ADD(step, 4), MULTIPLY_ADD(step, 5), MULTIPLY_ADD(step, 6), MULTIPLY_ADD(step, 7)
#define FOUR_STEPS(step) STEP(step), STEP((step) + 1), STEP((step) + 2), STEP((step) + 3)
#define CHAIN_OF_LOOP(k) \
    OP(Phi, tFloat, CHAIN(0, k), rStart0 + k, lAdds, CHAIN(kSteps, k), lAddsNext)
#define START(k) OP(FAdd, tFloat, rStart0 + k, rStart0 + k - 1, cStep)
#define SUM(k, former) OP(FAdd, tFloat, rSum1 + k - 1, former, CHAIN(0, k))

#define GIVEN(type, place, value, member) \
    OP(AccessChain, to##type, place, vScalars, member), OP(Load, t##type, value, place)
#define NAME 0x626f7270, 0x65 /* "probe" */

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
    OP(Decorate, tValues, kArrayStride, 16),
    OP(Decorate, tValueBuffer, kBufferBlock),
    OP(MemberDecorate, tValueBuffer, 0, kOffset, 0),
    OP(Decorate, tFounds, kArrayStride, 4),
    OP(Decorate, tFoundBuffer, kBufferBlock),
    OP(MemberDecorate, tFoundBuffer, 0, kOffset, 0),
    OP(Decorate, vScalars, kDescriptorSet, 0),
    OP(Decorate, vScalars, kBinding, 0),
    OP(Decorate, vValues, kDescriptorSet, 0),
    OP(Decorate, vValues, kBinding, 1),
    OP(Decorate, vFound, kDescriptorSet, 0),
    OP(Decorate, vFound, kBinding, 2),

    OP(TypeVoid, tVoid),
    OP(TypeFunction, tFunction, tVoid),
    OP(TypeBool, tBool),
    OP(TypeInt, tUint, 32, 0),
    OP(TypeVector, tUint3, tUint, 3),
    OP(TypeFloat, tFloat, 32),
    OP(TypeVector, tFloat4, tFloat, 4),
    OP(TypeStruct, tScalars, tUint, tUint, tUint, tFloat, tUint),
    OP(TypeRuntimeArray, tValues, tFloat4),
    OP(TypeStruct, tValueBuffer, tValues),
    OP(TypeRuntimeArray, tFounds, tFloat),
    OP(TypeStruct, tFoundBuffer, tFounds),
    OP(TypePointer, toUint3, kInput, tUint3),
    OP(TypePointer, toScalars, kUniform, tScalars),
    OP(TypePointer, toValueBuffer, kUniform, tValueBuffer),
    OP(TypePointer, toFoundBuffer, kUniform, tFoundBuffer),
    OP(TypePointer, toUint, kUniform, tUint),
    OP(TypePointer, toFloat, kUniform, tFloat),
    OP(TypePointer, toFloat4, kUniform, tFloat4),
    OP(Variable, toUint3, vInvocation, kInput),
    OP(Variable, toScalars, vScalars, kUniform),
    OP(Variable, toValueBuffer, vValues, kUniform),
    OP(Variable, toFoundBuffer, vFound, kUniform),
    OP(Constant, tUint, c0, 0),
    OP(Constant, tUint, c1, 1),
    OP(Constant, tUint, c2, 2),
    OP(Constant, tUint, c3, 3),
    OP(Constant, tUint, c4, 4),
    OP(Constant, tUint, c15, 15),
    OP(Constant, tUint, cShift, 4224),
    OP(Constant, tFloat, cStep, 0x47800000),
    OP(Constant, tFloat, cTwo, 0x40000000),
    OP(Constant, tFloat, cZero, 0),

    OP(Function, tVoid, vMain, kNone, tFunction),
    OP(Label, lStart),
    OP(Load, tUint3, rInvocation, vInvocation),
    OP(CompositeExtract, tUint, rThread, rInvocation, 0),
    GIVEN(Uint, pKind, rKind, c0),
    GIVEN(Uint, pBits, rBits, c1),
    GIVEN(Uint, pRounds, rRounds, c2),
    GIVEN(Float, pValue, rValue, c3),
    GIVEN(Uint, pThreads, rThreads, c4),
    OP(ShiftLeftLogical, tUint, rAll, rRounds, rBits),
    OP(ShiftLeftLogical, tUint, rSize, c1, rBits),
    OP(ISub, tUint, rMask, rSize, c1),
    OP(IEqual, tBool, rIsAdds, rKind, c1),
    OP(IEqual, tBool, rIsReads, rKind, c2),
    OP(IEqual, tBool, rIsWrites, rKind, c3),
    OP(AccessChain, toFloat, pFound, vFound, c0, rThread),
    OP(SelectionMerge, lNoAdds, kNone),
    OP(BranchConditional, rIsAdds, lAdds, lNoAdds),

    OP(Label, lAdds),
    OP(FAdd, tFloat, rOne, rValue, rValue),
    OP(BitwiseAnd, tUint, rOwn, rThread, c15),
    OP(ConvertUToF, tFloat, rOwnFloat, rOwn),
    OP(FMul, tFloat, rOwnStep, rOwnFloat, cStep),
    OP(FAdd, tFloat, rStart0, rOwnStep, cTwo),
    START(1),
    START(2),
    START(3),
    START(4),
    START(5),
    START(6),
    START(7),
    OP(Branch, lAddsLoop),
    OP(Label, lAddsLoop),
    OP(Phi, tUint, rRound, c0, lAdds, rNextRound, lAddsNext),
    CHAIN_OF_LOOP(0),
    CHAIN_OF_LOOP(1),
    CHAIN_OF_LOOP(2),
    CHAIN_OF_LOOP(3),
    CHAIN_OF_LOOP(4),
    CHAIN_OF_LOOP(5),
    CHAIN_OF_LOOP(6),
    CHAIN_OF_LOOP(7),
    OP(ULessThan, tBool, rIsRound, rRound, rRounds),
    OP(LoopMerge, lAddsEnd, lAddsNext, kNone),
    OP(BranchConditional, rIsRound, lAddsBody, lAddsEnd),
    OP(Label, lAddsBody),
    FOUR_STEPS(1),
    FOUR_STEPS(5),
    FOUR_STEPS(9),
    FOUR_STEPS(13),
    OP(Branch, lAddsNext),
    OP(Label, lAddsNext),
    OP(IAdd, tUint, rNextRound, rRound, c1),
    OP(Branch, lAddsLoop),
    OP(Label, lAddsEnd),
    SUM(1, CHAIN(0, 0)),
    SUM(2, rSum1),
    SUM(3, rSum1 + 1),
    SUM(4, rSum1 + 2),
    SUM(5, rSum1 + 3),
    SUM(6, rSum1 + 4),
    SUM(7, rSum1 + 5),
    OP(Store, pFound, rSum7),
    OP(Branch, lNoAdds),

    OP(Label, lNoAdds),
    OP(SelectionMerge, lNoReads, kNone),
    OP(BranchConditional, rIsReads, lReads, lNoReads),
    OP(Label, lReads),
    OP(CompositeConstruct, tFloat4, rNoSum, cZero, cZero, cZero, cZero),
    OP(Branch, lReadsLoop),
    OP(Label, lReadsLoop),
    OP(Phi, tUint, rN, rThread, lReads, rNextN, lReadsNext),
    OP(Phi, tFloat4, rReadSum, rNoSum, lReads, rNextSum, lReadsNext),
    OP(ULessThan, tBool, rIsN, rN, rAll),
    OP(LoopMerge, lReadsEnd, lReadsNext, kNone),
    OP(BranchConditional, rIsN, lReadsBody, lReadsEnd),
    OP(Label, lReadsBody),
    OP(ShiftRightLogical, tUint, rPass, rN, rBits),
    OP(IMul, tUint, rPassShift, rPass, cShift),
    OP(IAdd, tUint, rShifted, rN, rPassShift),
    OP(BitwiseAnd, tUint, rAt, rShifted, rMask),
    OP(AccessChain, toFloat4, pRead, vValues, c0, rAt),
    OP(Load, tFloat4, rRead, pRead),
    OP(FAdd, tFloat4, rNextSum, rReadSum, rRead),
    OP(Branch, lReadsNext),
    OP(Label, lReadsNext),
    OP(IAdd, tUint, rNextN, rN, rThreads),
    OP(Branch, lReadsLoop),
    OP(Label, lReadsEnd),
    OP(CompositeExtract, tFloat, rX, rReadSum, 0),
    OP(CompositeExtract, tFloat, rY, rReadSum, 1),
    OP(CompositeExtract, tFloat, rZ, rReadSum, 2),
    OP(CompositeExtract, tFloat, rW, rReadSum, 3),
    OP(FAdd, tFloat, rXY, rX, rY),
    OP(FAdd, tFloat, rXYZ, rXY, rZ),
    OP(FAdd, tFloat, rXYZW, rXYZ, rW),
    OP(Store, pFound, rXYZW),
    OP(Branch, lNoReads),

    OP(Label, lNoReads),
    OP(SelectionMerge, lEnd, kNone),
    OP(BranchConditional, rIsWrites, lWrites, lEnd),
    OP(Label, lWrites),
    OP(CompositeConstruct, tFloat4, rWritten, rValue, rValue, rValue, rValue),
    OP(Branch, lWritesLoop),
    OP(Label, lWritesLoop),
    OP(Phi, tUint, rM, rThread, lWrites, rNextM, lWritesNext),
    OP(ULessThan, tBool, rIsM, rM, rAll),
    OP(LoopMerge, lWritesEnd, lWritesNext, kNone),
    OP(BranchConditional, rIsM, lWritesBody, lWritesEnd),
    OP(Label, lWritesBody),
    OP(ShiftRightLogical, tUint, rPassM, rM, rBits),
    OP(IMul, tUint, rPassShiftM, rPassM, cShift),
    OP(IAdd, tUint, rShiftedM, rM, rPassShiftM),
    OP(BitwiseAnd, tUint, rAtM, rShiftedM, rMask),
    OP(AccessChain, toFloat4, pWritten, vValues, c0, rAtM),
    OP(Store, pWritten, rWritten),
    OP(Branch, lWritesNext),
    OP(Label, lWritesNext),
    OP(IAdd, tUint, rNextM, rM, rThreads),
    OP(Branch, lWritesLoop),
    OP(Label, lWritesEnd),
    OP(Branch, lEnd),
    OP(Label, lEnd),
    LONE(Return),
    LONE(FunctionEnd),
};

/* Launching it. */

static const char kName[] = "probe";

static const emulsion_vulkan_view* view_of(Device* device, int memory_class, uint64_t bytes) {
    return (const emulsion_vulkan_view*)(uintptr_t)emulsion_vulkan_make_view(
        &device->base.head, memory_class, 0, bytes);
}

int emulsion_vulkan_probe(emulsion_device* head, const emulsion_device_probe* probe) {
    Device* device = (Device*)head;
    static const int threads[3] = {kThreads, 1, 1};
    static const emulsion_vulkan_code code = {(const unsigned char*)words, sizeof words, 1, 2, 0};
    if (emulsion_device_check_probe(&device->base, probe) != 0) return head->error;
    emulsion_vulkan_kernel* kernel =
        emulsion_table_find(&device->base.kernels, (uintptr_t)words, (uintptr_t)kName);
    if (kernel == NULL) kernel = emulsion_vulkan_ready_kernel(device, words, kName, &code, threads);
    if (kernel == NULL) return head->error;
    const emulsion_vulkan_view* views[] = {
        view_of(device, EMULSION_WORKSPACE, device->base.arena_bytes[EMULSION_WORKSPACE]),
        view_of(device, EMULSION_STATE, EMULSION_PROBE_THREADS * sizeof(float))};
    if (head->error != 0) return head->error;
    const int blocks[3] = {emulsion_probe_threads(probe, kThreads) / kThreads, 1, 1};
    const struct {
        uint32_t kind, bits, rounds;
        float value;
        uint32_t threads;
    } scalars = {(uint32_t)probe->kind, probe->bits, probe->rounds, probe->value,
                 (uint32_t)blocks[0] * kThreads};
    return emulsion_vulkan_launch(kernel, blocks, views, &scalars, sizeof scalars);
}

/* What the machine offers: instruction sets, CPUs, floating-point mode.
 *
 * A variant compiled for AVX2 may hold any instruction of LLVM's "haswell", one for AVX-512 any of
 * "skylake-avx512"; hence the groups below. The system must save the wide registers too (XGETBV).
 */
#define _GNU_SOURCE
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/abi/internal.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

enum {
    kYmm = 0x6,
    kZmm = 0xe6
}; /* XCR0: XMM and YMM; those and the masks and both halves of ZMM */

static uint32_t saved_registers(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

uint32_t emulsion_cpu_features(void) {
    const uint32_t leaf1_avx2 = bit_AVX | bit_FMA | bit_F16C | bit_MOVBE | bit_POPCNT | bit_OSXSAVE;
    const uint32_t leaf7_avx2 = bit_AVX2 | bit_BMI | bit_BMI2;
    const uint32_t leaf7_avx512 =
        bit_AVX512F | bit_AVX512CD | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & leaf1_avx2) != leaf1_avx2) return 0;
    const uint32_t saved = saved_registers();
    if ((saved & kYmm) != kYmm) return 0;
    if (!__get_cpuid(0x80000001u, &a, &b, &c, &d) || (c & bit_LZCNT) == 0) return 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (b & leaf7_avx2) != leaf7_avx2) return 0;
    if ((saved & kZmm) != kZmm || (b & leaf7_avx512) != leaf7_avx512) return EMULSION_CPU_AVX2;
    return EMULSION_CPU_AVX2 | EMULSION_CPU_AVX512;
}

uint64_t emulsion_set_kernel_mode(void) {
    const uint64_t before = _mm_getcsr();
    _mm_setcsr(0x1f80u | 0x8040u); /* power-on state, flush to zero, denormals are zero */
    return before;
}

void emulsion_set_mode(uint64_t mode) { _mm_setcsr((uint32_t)mode); }

#elif defined(__aarch64__)

uint32_t emulsion_cpu_features(void) { return 0; }

uint64_t emulsion_set_kernel_mode(void) {
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    emulsion_set_mode((uint64_t)1 << 24); /* flush to zero */
    return before;
}

void emulsion_set_mode(uint64_t mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }

#else
#error "the runtime knows x86-64 and aarch64"
#endif

void emulsion_allowed_cpus(uint64_t cpus[EMULSION_CPU_WORDS]) {
    memset(cpus, 0, EMULSION_CPU_WORDS * sizeof cpus[0]);
    /* The system call itself: it fills a set of any size, and libc's wrapper clears the rest only.
     */
    const long bytes = syscall(SYS_sched_getaffinity, 0, EMULSION_CPU_WORDS * sizeof cpus[0], cpus);
    if (bytes <= 0) cpus[0] = 1;
}

void emulsion_allow_cpus(const uint64_t cpus[EMULSION_CPU_WORDS]) {
    syscall(SYS_sched_setaffinity, 0, EMULSION_CPU_WORDS * sizeof cpus[0], cpus);
}

static int count_cpus(const uint64_t cpus[EMULSION_CPU_WORDS]) {
    int count = 0;
    for (int word = 0; word < EMULSION_CPU_WORDS; word++) {
        for (uint64_t rest = cpus[word]; rest != 0; rest &= rest - 1) count++;
    }
    return count;
}

int emulsion_cpu_count(void) {
    uint64_t cpus[EMULSION_CPU_WORDS];
    emulsion_allowed_cpus(cpus);
    const int count = count_cpus(cpus);
    return count > EMULSION_MAX_THREADS ? EMULSION_MAX_THREADS : count;
}

void emulsion_pin(const uint64_t cpus[EMULSION_CPU_WORDS], int index) {
    uint64_t one[EMULSION_CPU_WORDS] = {0};
    int skip = index % count_cpus(cpus);
    for (int cpu = 0; cpu < 64 * EMULSION_CPU_WORDS; cpu++) {
        if ((cpus[cpu / 64] >> (cpu % 64) & 1) == 0 || skip-- != 0) continue;
        one[cpu / 64] = (uint64_t)1 << (cpu % 64);
        emulsion_allow_cpus(one);
        return;
    }
}

int emulsion_choose_variant(const emulsion_library* library, uint32_t features, int wanted) {
    for (int index = library->variant_count - 1; index >= 0; index--) {
        if (wanted > 0 && index != wanted - 1) continue;
        if ((library->variants[index].cpu & ~features) == 0) return index;
    }
    return -1;
}

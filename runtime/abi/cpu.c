/* What the machine offers: instruction sets, CPUs, floating-point mode. The compiler and the
 * programs ask here too.
 *
 * A variant compiled for AVX2 may hold any instruction of LLVM's "haswell", one for AVX-512 any of
 * "skylake-avx512"; hence the groups below. The system must save the wide registers too (XGETBV).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
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

/* Limits of a control group, such as a container's. */

/* The text of a small file, at most size - 1 bytes of it; "" where it cannot be read. */
static void read_text(const char* path, char* text, size_t size) {
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    size_t used = 0;
    ssize_t count = 1;
    while (file >= 0 && count > 0 && used < size - 1) {
        count = read(file, text + used, size - 1 - used);
        if (count > 0) used += (size_t)count;
    }
    text[used] = 0;
    if (file >= 0) close(file);
}

/* Reads a whole number, and steps behind it; -1 where there is none, as for "max" and "-1". */
static int64_t read_number(const char** text) {
    int64_t number = -1;
    for (; **text >= '0' && **text <= '9' && number < INT64_MAX / 16; (*text)++)
        number = (number < 0 ? 0 : number * 10) + (**text - '0');
    return number;
}

static int join_path(char* path, size_t size, const char* root, const char* group,
                     const char* file) {
    const size_t parts[] = {strlen(root), strlen(group), strlen(file)};
    if (parts[0] + parts[1] + parts[2] >= size) return 0;
    memcpy(path, root, parts[0]);
    memcpy(path + parts[0], group, parts[1]);
    memcpy(path + parts[0] + parts[1], file, parts[2] + 1);
    return 1;
}

/* CPUs that one group's quota is worth, rounded up; INT_MAX where it has none. */
static int quota_of(const char* root, const char* group, int version) {
    char path[1024], text[64];
    int64_t quota, period;
    const char* at = text;
    if (!join_path(path, sizeof path, root, group,
                   version == 2 ? "/cpu.max" : "/cpu.cfs_quota_us")) {
        return INT_MAX;
    }
    read_text(path, text, sizeof text);
    quota = read_number(&at);
    if (version == 1 && join_path(path, sizeof path, root, group, "/cpu.cfs_period_us")) {
        read_text(path, text, sizeof text);
        at = text;
    } else if (*at == ' ') {
        at++;
    }
    period = read_number(&at);
    if (quota <= 0 || period <= 0) return INT_MAX;
    const int64_t cpus = quota / period + (quota % period != 0);
    return cpus < INT_MAX ? (int)cpus : INT_MAX;
}

/* Whether a comma-separated list names the controller "cpu". */
static int lists_cpu(const char* list, const char* end) {
    for (; list < end; list++) {
        if (strncmp(list, "cpu", 3) == 0 && (list[3] == ',' || list[3] == ':')) return 1;
        while (list < end && *list != ',') list++;
    }
    return 0;
}

int emulsion_cgroup_cpus(const char* membership, const char* root) {
    char lines[4096], group[1024], controller[1024];
    int least = INT_MAX;
    read_text(membership, lines, sizeof lines);
    for (const char *line = lines, *next; *line != 0; line = next) {
        const char* end = strchr(line, '\n');
        next = end != NULL ? end + 1 : line + strlen(line);
        if (end == NULL) end = next;
        const char* list = strchr(line, ':'); /* number:controllers:path */
        const char* path = list != NULL ? strchr(list + 1, ':') : NULL;
        if (path == NULL || path >= end || (size_t)(end - path) > sizeof group) continue;
        const int version = list + 1 == path ? 2 : 1;
        if (version == 1 && !lists_cpu(list + 1, path)) continue;
        if (!join_path(controller, sizeof controller, root, version == 1 ? "/cpu" : "", ""))
            continue;
        memcpy(group, path + 1, (size_t)(end - path - 1));
        group[end - path - 1] = 0;
        /* The group and all above it; a container may see its own as the root. */
        for (char* cut = group + strlen(group); cut != NULL; cut = strrchr(group, '/')) {
            *cut = 0;
            const int cpus = quota_of(controller, group, version);
            if (cpus < least) least = cpus;
        }
    }
    return least == INT_MAX ? 0 : least;
}

int emulsion_cpu_count(void) {
    uint64_t cpus[EMULSION_CPU_WORDS];
    emulsion_allowed_cpus(cpus);
    const int count = count_cpus(cpus);
    const int quota = emulsion_cgroup_cpus("/proc/self/cgroup", "/sys/fs/cgroup");
    const int usable = quota > 0 && quota < count ? quota : count;
    return usable > EMULSION_MAX_THREADS ? EMULSION_MAX_THREADS : usable;
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

uint32_t emulsion_isa_features(const char* isa) {
    if (strcmp(isa, "x86-64") == 0) return 0;
    if (strcmp(isa, "avx2") == 0) return EMULSION_CPU_AVX2;
    if (strcmp(isa, "avx512") == 0) return EMULSION_CPU_AVX2 | EMULSION_CPU_AVX512;
    return UINT32_MAX;
}

int emulsion_choose_variant(const emulsion_library* library, uint32_t features, int wanted) {
    for (int index = library->variant_count - 1; index >= 0; index--) {
        if (wanted > 0 && index != wanted - 1) continue;
        if (library->variants[index].device != NULL) continue;
        if ((library->variants[index].cpu & ~features) == 0) return index;
    }
    return -1;
}

/* What a device does at most: its probe, timed by the host's clock on a device that is opened for
 * it. */
#include <string.h>

#include "runtime/abi/device.h"
#include "runtime/abi/internal.h"

/* A probe takes so long at least: what the clock and the launch add is below a hundredth of it. */
#define LEAST_SECONDS 0.01
/* Once all launches of a probe have taken so long, it is not timed again. */
#define MOST_SECONDS 0.1

enum {
    kLaunches = 32,         /* of nothing, the fastest of which counts */
    kRepeats = 4,           /* of a probe, as well */
    kMostRounds = 1 << 20,  /* of multiply-adds */
    kMostTouched = 1 << 30, /* values, all rounds together */
    kLeastBits = 18         /* of the smallest block: 4 MiB */
};
#define BYTES_OF(block) (UINT64_C(16) << (kLeastBits + 2 * (block)))
#define RESULT_BYTES (EMULSION_PROBE_THREADS * sizeof(float))

static double seconds_of(emulsion_device* device, const emulsion_device_probe* probe) {
    const double start = emulsion_seconds_now();
    device->api->probe(device, probe);
    device->api->finish(device);
    return emulsion_seconds_now() - start;
}

static double least(double a, double b) { return a < b ? a : b; }

/* The first one makes the kernel ready. */
static double seconds_of_launch(emulsion_device* device) {
    const emulsion_device_probe nothing = {EMULSION_PROBE_NOTHING, 0, 0, 0};
    seconds_of(device, &nothing);
    double best = seconds_of(device, &nothing);
    for (int i = 1; i < kLaunches; i++) best = least(best, seconds_of(device, &nothing));
    return best;
}

static double seconds_of_round(emulsion_device* device, emulsion_device_probe probe,
                               uint32_t most_rounds) {
    probe.rounds = 1;
    double best = seconds_of(device, &probe);
    while (best < LEAST_SECONDS && probe.rounds < most_rounds && device->error == 0) {
        probe.rounds *= 2;
        best = seconds_of(device, &probe);
    }
    double spent = best;
    for (int i = 1; i < kRepeats && spent < MOST_SECONDS; i++) {
        const double seconds = seconds_of(device, &probe);
        spent += seconds;
        best = least(best, seconds);
    }
    return best / probe.rounds;
}

/* Bytes a second. */
static double rate_of(emulsion_device* device, int kind, int block) {
    const emulsion_device_probe probe = {kind, kLeastBits + 2 * (uint32_t)block, 0, 1.0f};
    return (double)BYTES_OF(block) /
           seconds_of_round(device, probe, (uint32_t)kMostTouched >> probe.bits);
}

static void measure(emulsion_device* device, int blocks, emulsion_device_speed* speed) {
    const emulsion_device_probe adds = {EMULSION_PROBE_MULTIPLY_ADDS, 0, 0, 0.5f};
    const double operations = 2.0 * EMULSION_PROBE_ADDS * EMULSION_PROBE_THREADS;
    speed->launch = seconds_of_launch(device);
    speed->peak = operations / seconds_of_round(device, adds, kMostRounds);
    for (int i = 0; i < blocks; i++) {
        speed->bandwidth[i].bytes = BYTES_OF(i);
        speed->bandwidth[i].read = rate_of(device, EMULSION_PROBE_READS, i);
        speed->bandwidth[i].write = rate_of(device, EMULSION_PROBE_WRITES, i);
    }
    speed->bandwidth_count = blocks;
}

static int fails(const emulsion_device* device, emulsion_device_speed* speed) {
    if (device->error == 0) return 0;
    memcpy(speed->problem, device->text, sizeof speed->problem);
    return 1;
}

/* With the blocks that the device has room for: `blocks`, or fewer. */
static int measure_blocks(const emulsion_device_api* api, int index, int blocks,
                          emulsion_device_speed* speed) {
    emulsion_device* device = api->open(index, NULL, speed->problem);
    if (device == NULL) return EMULSION_DEVICE_ERROR;
    api->allocate(device, EMULSION_STATE, RESULT_BYTES);
    api->allocate(device, EMULSION_WORKSPACE, BYTES_OF(blocks - 1));
    const int lacks_memory = fails(device, speed);
    if (!lacks_memory) measure(device, blocks, speed);
    const int has_failed = fails(device, speed);
    api->close(device);
    if (lacks_memory && blocks > 1) return measure_blocks(api, index, blocks - 1, speed);
    if (has_failed) speed->bandwidth_count = 0;
    return has_failed ? EMULSION_DEVICE_ERROR : EMULSION_OK;
}

static int has_room(const emulsion_device_facts* facts, uint64_t bytes) {
    return bytes <= facts->largest_bytes && bytes <= facts->view_bytes &&
           bytes + RESULT_BYTES <= facts->memory_bytes;
}

int emulsion_device_measure(const emulsion_device_api* api, int index,
                            emulsion_device_speed* speed) {
    emulsion_device_facts facts;
    memset(&facts, 0, sizeof facts);
    if (api->facts(index, &facts, speed->problem) != 0) return EMULSION_DEVICE_ERROR;
    int blocks = EMULSION_DEVICE_BLOCKS;
    while (blocks > 1 && !has_room(&facts, BYTES_OF(blocks - 1))) blocks--;
    const int status = measure_blocks(api, index, blocks, speed);
    if (status == EMULSION_OK) speed->problem[0] = 0;
    return status;
}

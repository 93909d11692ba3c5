// Where the kernels of a program run: on the processor, or on one of the devices that its library
// finds.
//
// EMULSION_NO_DEVICE, set in the environment to anything but 0, hides all devices: the library sees
// to that.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/abi/emulsion_abi.h"
#include "runtime/support/machine_speed.h"

namespace CLI {
class App;
}  // namespace CLI

namespace emulsion {

struct Device {
    std::string option = "cpu";  // as in emulsion_options: "cpu", "opencl:1"
    std::string interface;       // its variant in emulsion_info, "opencl"; empty: the processor
    std::string name;            // in the driver's words; empty: the processor
    uint64_t memory_bytes = 0;
    int largest_batch = 0;  // that fits there, emulsion_device_description
    bool is_software = false;
    std::string reason;  // why --device auto is the processor, or empty
    int index = 0;       // among all devices of the library

    bool is_processor() const { return interface.empty(); }
    std::string text() const;  // "cpu", "opencl:1, its name"
};

// What a library says of devices: emulsion_train_library::device, or that of inference.
using DeviceQuery = int (*)(int index, emulsion_device_description* description);
// How fast a library finds one: emulsion_train_library::speed, or that of inference.
using SpeedQuery = int (*)(int index, emulsion_device_speed* speed);

// Whether a variant of emulsion_info is for devices.
bool is_for_devices(std::string_view variant);
bool has_variant(const emulsion_info& info, std::string_view name);

// What --device holds and --list-devices, as given.
struct DeviceOptions {
    std::string wanted = "cpu";
    bool lists = false;
};
void add_device_options(CLI::App& app, const emulsion_info& info, DeviceOptions* options);

// The device called `wanted`: cpu, gpu (the first that is no software, or else the first), auto
// (the first that is no software, or else the processor) or an interface and a number. Throws
// UsageError where the library runs on no such thing, RuntimeError where it is not there.
Device find_device(const emulsion_info& info, DeviceQuery query, const std::string& wanted);

// Throws UsageError where an instruction set is asked for beside a device.
void check_variant(const Device& device, int variant);

// What --list-devices prints: a table, or one JSON object.
std::string list_devices(const emulsion_info& info, DeviceQuery query, bool is_json);

// What the library takes of this device, which is one of its own; else `bytes` stays.
void query_device_bytes(DeviceQuery query, const Device& device, uint64_t bytes[EMULSION_CLASSES]);

// What the device does at most; takes a second or so. Nothing where it cannot be measured, and
// `problem` says why.
std::optional<MachineSpeed> measure_device(const Device& device, SpeedQuery query,
                                           std::string* problem);

// Throws RuntimeError where the device's memory is smaller than what the library takes there.
void check_memory(const Device& device, const emulsion_sizes& sizes);

}  // namespace emulsion

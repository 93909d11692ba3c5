// See device.h.
#include "runtime/program/device.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <nlohmann/json.hpp>
#include <numeric>

#include "runtime/abi/instance.h"
#include "runtime/program/command_line.h"
#include "runtime/program/format.h"
#include "runtime/program/profile.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr const char* kFixMissing =
    "--list-devices shows what there is; --device cpu runs on the processor";

// The devices there are, and why there are no more.
struct Devices {
    std::vector<Device> list;
    std::string problem;

    bool has(const std::string& interface) const {
        return std::any_of(list.begin(), list.end(),
                           [&](const Device& device) { return device.interface == interface; });
    }
};

Devices query_devices(DeviceQuery query) {
    Devices devices;
    for (int i = 0;; i++) {
        emulsion_device_description found{};
        const int status = query(i, &found);
        if (status == EMULSION_OK) {
            devices.list.push_back({concat(found.interface, ":", found.index), found.interface,
                                    one_line(found.name), found.memory_bytes, found.largest_batch,
                                    found.is_software != 0, "", i});
            continue;
        }
        devices.problem = one_line(found.problem);
        if (status != EMULSION_DEVICE_ERROR) return devices;  // such a one is passed over
    }
}

std::vector<std::string> interfaces_of(const emulsion_info& info) {
    std::vector<std::string> names;
    for (int i = 0; i < info.variant_count; i++) {
        if (is_for_devices(info.variants[i])) names.emplace_back(info.variants[i]);
    }
    return names;
}

// "cpu, opencl".
std::string list_interfaces(const emulsion_info& info) {
    std::string text = "cpu";
    for (const std::string& name : interfaces_of(info)) text += ", " + name;
    return text;
}

bool has_device_variant(const emulsion_info& info) { return !interfaces_of(info).empty(); }

[[noreturn]] void refuse_word(const std::string& wanted, const std::string& problem,
                              const std::string& fix) {
    throw UsageError("--device", concat(quoted(wanted), " ", problem), fix);
}

// What `gpu` and `auto` name where there are such devices.
Device choose_any(const Devices& devices, const std::string& wanted) {
    for (const Device& device : devices.list) {
        if (!device.is_software) return device;
    }
    if (wanted == "gpu") return devices.list.front();
    Device processor;
    processor.reason = devices.list.empty() ? devices.problem
                                            : concat("there is no device but software (",
                                                     devices.list.front().option, ")");
    return processor;
}

// "opencl:1" from "opencl:1", "opencl:0" from "opencl".
std::string full_name(const emulsion_info& info, const std::string& wanted) {
    const size_t colon = std::min(wanted.find(':'), wanted.size());
    const std::string interface = wanted.substr(0, colon);
    if (!is_for_devices(interface) || !has_variant(info, interface)) {
        refuse_word(
            wanted, concat("is none of those that the program runs on: ", list_interfaces(info)),
            has_device_variant(info)
                ? "choose one of them, or auto or gpu"
                : "choose cpu, or build the network with --target native,cuda,opencl,vulkan");
    }
    if (colon == wanted.size()) return interface + ":0";
    int index = 0;
    const char* end = wanted.data() + wanted.size();
    const auto [stop, code] = std::from_chars(wanted.data() + colon + 1, end, index);
    if (code != std::errc() || stop != end || index < 0)
        refuse_word(wanted, "has no number behind the colon",
                    concat("for example ", interface, ":0"));
    return concat(interface, ":", index);
}

}  // namespace

std::string Device::text() const { return is_processor() ? option : concat(option, ", ", name); }

bool is_for_devices(std::string_view variant) {
    return emulsion_isa_features(std::string(variant).c_str()) == UINT32_MAX;
}

bool has_variant(const emulsion_info& info, std::string_view name) {
    return std::find(info.variants, info.variants + info.variant_count, name) !=
           info.variants + info.variant_count;
}

void add_device_options(CLI::App& app, const emulsion_info& info, DeviceOptions* options) {
    const std::string help = has_device_variant(info)
                                 ? concat(
                                       "where to run: auto, gpu (the first device that is no "
                                       "software, if any), or one of ",
                                       list_interfaces(info), ", with a number as in ",
                                       interfaces_of(info).front(), ":1 (cpu)")
                                 : "where to run: cpu, which is all that this program is built for";
    app.add_option("--device", options->wanted, help)->type_name("NAME");
    app.add_flag("--list-devices", options->lists, "list the devices there are, and end");
}

Device find_device(const emulsion_info& info, DeviceQuery query, const std::string& wanted) {
    if (wanted == "cpu") return {};
    const bool is_any = wanted == "gpu" || wanted == "auto";
    if (wanted == "gpu" && !has_device_variant(info)) full_name(info, wanted);
    const std::string name = is_any ? wanted : full_name(info, wanted);
    const Devices devices = query_devices(query);
    if (wanted == "auto" || (is_any && !devices.list.empty())) return choose_any(devices, wanted);
    for (const Device& device : devices.list) {
        if (device.option == name) return device;
    }
    const std::string interface = name.substr(0, name.find(':'));
    std::string problem = concat("there is no such device, but ", devices.list.size(),
                                 devices.list.size() == 1 ? " other" : " others");
    if (devices.list.empty())
        problem = concat("there is no device: ", devices.problem);
    else if (!devices.has(interface))
        problem = concat("there is no device of ", interface, ": ", devices.problem);
    throw RuntimeError(concat("--device ", one_line(wanted)), problem, kFixMissing);
}

void check_variant(const Device& device, int variant) {
    if (variant == 0 || device.is_processor()) return;
    throw UsageError("--variant", concat("is for the processor, but --device is ", device.option),
                     "leave one of the two out");
}

std::string list_devices(const emulsion_info& info, DeviceQuery query, bool is_json) {
    const Devices devices = query_devices(query);
    const std::vector<std::string> interfaces = interfaces_of(info);
    const bool lacks_one =
        devices.list.empty() || !std::all_of(interfaces.begin(), interfaces.end(),
                                             [&](const auto& name) { return devices.has(name); });
    const std::string processor = chosen_variant(info, 0, {});
    if (is_json) {
        nlohmann::ordered_json json{{"devices", {{{"device", "cpu"}, {"variant", processor}}}}};
        for (const Device& device : devices.list) {
            json["devices"].push_back({{"device", device.option},
                                       {"variant", device.interface},
                                       {"name", device.name},
                                       {"software", device.is_software},
                                       {"memory_bytes", device.memory_bytes}});
        }
        if (lacks_one) json["problem"] = devices.problem;
        return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    }
    std::vector<std::vector<std::string>> rows{{"--device", "memory", "device"},
                                               {"cpu", "", concat("the processor, ", processor)}};
    for (const Device& device : devices.list)
        rows.push_back({device.option, format_bytes(device.memory_bytes),
                        concat(device.name, device.is_software ? ", software" : "")});
    const std::string table = format_table(rows, {Align::kLeft, Align::kRight, Align::kLeft});
    return lacks_one ? concat(table, "no other device: ", devices.problem, "\n") : table;
}

void query_device_bytes(DeviceQuery query, const Device& device, uint64_t bytes[EMULSION_CLASSES]) {
    for (int i = 0;; i++) {
        emulsion_device_description found{};
        const int status = query(i, &found);
        if (status == EMULSION_DEVICE_ERROR) continue;  // such a one is passed over
        if (status != EMULSION_OK) return;
        if (concat(found.interface, ":", found.index) != device.option) continue;
        std::copy_n(found.device_bytes, EMULSION_CLASSES, bytes);
        return;
    }
}

std::optional<MachineSpeed> measure_device(const Device& device, SpeedQuery query,
                                           std::string* problem) {
    emulsion_device_speed speed{};
    if (query(device.index, &speed) != EMULSION_OK) {
        *problem = one_line(speed.problem);
        return std::nullopt;
    }
    MachineSpeed machine;
    machine.peak = speed.peak;
    machine.launch = speed.launch;
    for (int i = 0; i < speed.bandwidth_count; i++) {
        const auto& entry = speed.bandwidth[i];
        machine.bandwidth.push_back({entry.bytes, entry.read, entry.write});
    }
    return machine;
}

void check_memory(const Device& device, const emulsion_sizes& sizes) {
    const uint64_t needed =
        std::accumulate(sizes.device_bytes, sizes.device_bytes + EMULSION_CLASSES, uint64_t(0));
    if (device.is_processor() || needed <= device.memory_bytes) return;
    const std::string fix =
        device.largest_batch > 0
            ? concat("build the network with --batch ", device.largest_batch, " or less")
            : "no --batch is small enough: choose another device";
    throw RuntimeError(concat("--device ", device.option),
                       concat(device.name, " has ", device.memory_bytes,
                              " bytes of memory, but the network needs ", needed),
                       concat(fix, ", or run it with --device cpu"));
}

}  // namespace emulsion

// See measured_machine.h.
#include "schedules/tune/measured_machine.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "compiler/recipe/group.h"
#include "compiler/support/diagnostic.h"
#include "compiler/support/json_reader.h"
#include "runtime/abi/instance.h"
#include "runtime/support/machine_speed.h"

namespace emulsion {

namespace {

constexpr uint64_t kMostBytes = 64 << 10;
constexpr double kLeastRate = 1e-3, kMostRate = 1e6;
constexpr const char *kFormat = "emulsion-machine", *kClass = "class", *kFma = "fma_gflops",
                     *kBandwidth = "bandwidth_gbs";

double rounded(double value) { return std::max(0.1, std::round(value * 10) / 10); }

double rate(const JsonFile& file, const JsonReader& reader, const char* name) {
    const double value = reader.number(name, /*zero=*/false);
    if (value < kLeastRate || value > kMostRate)
        file.refuse(fmt::format("\"{}\" is {}, but must be {} to {:.0f}", name, value, kLeastRate,
                                kMostRate));
    return value;
}

MachineClass class_of(const JsonFile& file, const JsonReader& reader) {
    const std::string text = reader.text(kClass);
    try {
        return parse_machine_class(text);
    } catch (const Error& error) {
        file.refuse(fmt::format("\"{}\": {}", kClass, error.diagnostic().message));
    }
}

}  // namespace

MeasuredMachine measure_this_machine() {
    const int threads = emulsion_cpu_count();
    const MachineSpeed speed = measure_machine(native_isa().name, threads);
    return {this_machine(), rounded(speed.peak / threads / 1e9),
            rounded(speed.bandwidth.back().read / threads / 1e9)};
}

std::string to_json(const MeasuredMachine& machine) {
    const nlohmann::ordered_json json = {{"format", kFormat},
                                         {"format_version", 1},
                                         {kClass, to_string(machine.machine_class)},
                                         {kFma, machine.fma_gflops},
                                         {kBandwidth, machine.bandwidth_gbs}};
    return json.dump(1) + "\n";
}

MeasuredMachine read_machine_file(const std::string& path) {
    const JsonFile file{path, "machine file", "machine",
                        "write one with emulsion machine --json >FILE, on the machine to plan for"};
    const nlohmann::json json = file.read(kMostBytes);
    const JsonReader reader(file, json);
    if (reader.text("format") != kFormat) file.refuse("its format is another");
    reader.count("format_version", 1, 1);
    reader.expect_no_others({"format", "format_version", kClass, kFma, kBandwidth});
    return {class_of(file, reader), rate(file, reader, kFma), rate(file, reader, kBandwidth)};
}

bool names_machine_file(const std::string& word) {
    return word.find('/') != std::string::npos || word.ends_with(".json");
}

Machine to_plan_for(const MachineClass& machine_class) {
    Machine machine;
    if (machine_class.l2_kib > 0) machine.l2_bytes = int64_t{machine_class.l2_kib} << 10;
    return machine;
}

Machine to_plan_for(const MeasuredMachine& measured) {
    Machine machine = to_plan_for(measured.machine_class);
    machine.fma_gflops = measured.fma_gflops;
    machine.bandwidth_gbs = measured.bandwidth_gbs * machine.threads;
    return machine;
}

}  // namespace emulsion

// See profile.h.
#include "runtime/program/profile.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "runtime/program/format.h"
#include "runtime/support/atomic_file.h"
#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostCalls = 1000;  // that are kept: enough for a median, and little memory

int64_t nanoseconds_now() {
    return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Digits that mean nothing are left out.
double whole_nanoseconds(double seconds) { return std::round(seconds * 1e9) / 1e9; }
double whole_millions(double rate) { return std::round(rate / 1e6) * 1e6; }

double median(std::vector<float> values) {
    if (values.empty()) return 0.0;
    std::sort(values.begin(), values.end());
    const size_t middle = values.size() / 2;
    if (values.size() % 2 == 1) return whole_nanoseconds(values[middle]);
    return whole_nanoseconds(0.5 * (static_cast<double>(values[middle - 1]) + values[middle]));
}

}  // namespace

KernelProfile::KernelProfile(const emulsion_info& info)
    : current_(static_cast<size_t>(info.kernel_count)), kernels_(current_.size()) {}

void KernelProfile::start(int batch, int samples, int warm_up) {
    profile_ = {};
    profile_.batch = batch;
    profile_.samples = samples;
    profile_.warm_up = warm_up;
    seen_ = 0;
    calls_.clear();
    for (std::vector<float>& kernel : kernels_) kernel.clear();
}

void KernelProfile::begin_call() {
    std::fill(current_.begin(), current_.end(), -1.0f);
    call_.batch = profile_.batch;
    call_.samples = profile_.samples;
    call_.kernels.clear();
    is_traced_ = calls_.size() < kMostTraced;
    call_.begin = nanoseconds_now();
}

void KernelProfile::record(void* self, int kernel, double seconds) {
    KernelProfile& profile = *static_cast<KernelProfile*>(self);
    const auto index = static_cast<size_t>(kernel);
    if (index >= profile.current_.size()) return;
    profile.current_[index] = static_cast<float>(seconds);
    if (!profile.is_traced_) return;
    // It has just ended. The two clocks may round apart.
    TracedCall& call = profile.call_;
    const int64_t end = nanoseconds_now();
    const int64_t before = call.kernels.empty() ? call.begin : call.kernels.back().end;
    const int64_t begin = end - std::llround(seconds * 1e9);
    call.kernels.push_back({kernel, std::max(before, begin), end});
}

void KernelProfile::end_call(int samples) {
    call_.end = nanoseconds_now();
    const bool is_traced = std::exchange(is_traced_, false);
    if (samples != profile_.samples || ++seen_ <= profile_.warm_up) return;
    if (calls_.size() == kMostCalls) return;
    if (is_traced) trace_.push_back(call_);
    calls_.push_back(1e-9f * static_cast<float>(call_.end - call_.begin));
    for (size_t k = 0; k < current_.size(); k++) {
        if (current_[k] >= 0.0f) kernels_[k].push_back(current_[k]);
    }
}

CallProfile KernelProfile::result() const {
    CallProfile result = profile_;
    result.calls = static_cast<int>(calls_.size());
    result.seconds = median(calls_);
    for (size_t k = 0; k < kernels_.size(); k++) {
        if (!kernels_[k].empty())
            result.kernels.push_back({static_cast<int>(k), median(kernels_[k])});
    }
    return result;
}

namespace {

double sum_of_kernels(const CallProfile& profile) {
    double total = 0.0;
    for (const KernelTime& time : profile.kernels) total += time.seconds;
    return total;
}

double share_of(double seconds, double total) { return total > 0 ? seconds / total : 0.0; }

}  // namespace

std::string profile_text(const CallProfile& profile, const emulsion_info& info) {
    const double total = sum_of_kernels(profile);
    std::vector<std::vector<std::string>> rows{{"us a call", "share", "kernel"}};
    for (const KernelTime& time : profile.kernels) {
        rows.push_back({fixed(1e6 * time.seconds, 2),
                        format_percent(share_of(time.seconds, total), 1),
                        one_line(info.kernels[time.kernel])});
    }
    rows.push_back({fixed(1e6 * total, 2), "100.0 %",
                    concat("all kernels, medians of ", profile.calls, " calls with ",
                           profile.samples, profile.samples == 1 ? " picture" : " pictures")});
    return format_table(rows, {Align::kRight, Align::kRight, Align::kLeft});
}

std::string profile_lines(const CallProfile& profile, const emulsion_info& info) {
    const double total = sum_of_kernels(profile);
    std::string lines;
    for (const KernelTime& time : profile.kernels) {
        lines += Json{{"event", "kernel"},
                      {"kernel", time.kernel},
                      {"samples", profile.samples},
                      {"microseconds", 1e6 * time.seconds},
                      {"share", share_of(time.seconds, total)},
                      {"signature", info.kernels[time.kernel]}}
                     .dump() +
                 "\n";
    }
    return lines;
}

std::string chosen_variant(const emulsion_info& info, int variant, const Device& device) {
    if (!device.is_processor()) return device.interface;
    if (variant > 0) return info.variants[variant - 1];
    for (int i = info.variant_count - 1; i > 0; i--) {
        if (can_run(info.variants[i])) return info.variants[i];
    }
    return info.variants[0];
}

namespace {

Json machine_json(const MachineSpeed& machine) {
    Json json{{"peak", whole_millions(machine.peak)}, {"bandwidth", Json::array()}};
    for (const Bandwidth& entry : machine.bandwidth) {
        json["bandwidth"].push_back({{"bytes", entry.bytes},
                                     {"read", whole_millions(entry.read)},
                                     {"write", whole_millions(entry.write)}});
    }
    if (machine.launch > 0) json["launch"] = whole_nanoseconds(machine.launch);
    return json;
}

}  // namespace

std::string profile_json(const ProfileFacts& facts, std::span<const CallProfile> calls,
                         const MachineSpeed* machine) {
    const emulsion_info& info = *facts.info;
    Json json{{"format", "emulsion-profile"},    {"format_version", 1},
              {"version", info.version},         {"network", info.network},
              {"signature", info.signature},     {"mode", facts.mode},
              {"variant", facts.variant},        {"threads", facts.threads},
              {"planned_threads", info.threads}, {"device", facts.device.option}};
    if (machine != nullptr) json["machine"] = machine_json(*machine);
    json["calls"] = Json::array();
    for (const CallProfile& call : calls) {
        Json kernels = Json::array();
        for (const KernelTime& time : call.kernels) {
            kernels.push_back({{"name", info.kernels[time.kernel]}, {"seconds", time.seconds}});
        }
        json["calls"].push_back({{"batch", call.batch},
                                 {"samples", call.samples},
                                 {"warm_up", call.warm_up},
                                 {"measured", call.calls},
                                 {"seconds", call.seconds},
                                 {"kernels", kernels}});
    }
    return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string write_profile(const std::string& path, const ProfileFacts& facts,
                          std::span<const CallProfile> calls, SpeedQuery speed) {
    const std::string file = one_line(path);
    std::string problem;
    const std::optional<MachineSpeed> machine = facts.device.is_processor()
                                                    ? measure_machine(facts.variant, facts.threads)
                                                    : measure_device(facts.device, speed, &problem);
    write_file(path, profile_json(facts, calls, machine ? &*machine : nullptr));
    if (!machine) {
        return concat("profile written to ", file,
                      ", but no roofline can be made of it: the speed of ", facts.device.option,
                      " cannot be measured: ", problem, "\n");
    }
    return concat("profile written to ", file,
                  "; emulsion show MODEL --emit=roofline --profile=", file, " reads it\n");
}

}  // namespace emulsion

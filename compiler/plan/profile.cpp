// Reads a profile and refuses what cannot have been measured.
#include "compiler/plan/profile.h"

#include <nlohmann/json.hpp>

#include "compiler/recipe/group.h"
#include "compiler/support/diagnostic.h"
#include "compiler/support/json_reader.h"

namespace emulsion {

namespace {

constexpr uint64_t kMostBytes = uint64_t{16} << 20;
constexpr int64_t kMostSamples = 65536, kMostThreads = 256, kMostCalls = 1'000'000'000;
constexpr const char* kFix =
    "write one with NET-train --profile=FILE or NET-infer --profile=FILE, where NET is the network";

MachineSpeed read_machine(const JsonReader& reader, bool is_device) {
    MachineSpeed machine;
    machine.peak = reader.number("peak", /*zero=*/false);
    if (is_device) machine.launch = reader.number("launch", /*zero=*/false);
    for (const JsonReader& entry : reader.list("bandwidth")) {
        machine.bandwidth.push_back({static_cast<uint64_t>(entry.count("bytes", 1, INT64_MAX)),
                                     entry.number("read", false), entry.number("write", false)});
    }
    return machine;
}

ProfiledCall read_call(const JsonReader& reader) {
    ProfiledCall call;
    call.batch = reader.small("batch", 1, kMostSamples);
    call.samples = reader.small("samples", 1, call.batch);
    call.warm_up = reader.small("warm_up", 0, kMostCalls);
    call.measured = reader.small("measured", 1, kMostCalls);
    call.seconds = reader.number("seconds", /*zero=*/false);
    for (const JsonReader& kernel : reader.list("kernels"))
        call.kernels.push_back({kernel.text("name"), kernel.number("seconds", /*zero=*/true)});
    return call;
}

void check_variant(const Profile& profile, const JsonFile& file) {
    const std::string& variant = profile.variant;
    if (profile.is_of_device()) {
        if (find_device_isa(variant) != nullptr && profile.device.starts_with(variant + ":"))
            return;
        file.refuse(fmt::format("its variant '{}' is not that of its device '{}'", variant,
                                profile.device));
    }
    if (variant == "x86-64" || variant == "avx2" || variant == "avx512") return;
    file.refuse(fmt::format("its variant '{}' is none of x86-64, avx2, avx512", variant));
}

void check_machine(const Profile& profile, const JsonReader& reader) {
    if (!profile.is_of_device() || reader.has("machine")) return;
    fail("profile",
         fmt::format("'{}' was measured on the device '{}', whose own speed could not be measured",
                     profile.file, profile.device),
         "measure again, with more of its memory free");
}

}  // namespace

Profile read_profile(const std::string& file) {
    const JsonFile source{file, "profile", "profile", kFix};
    const nlohmann::json json = source.read(kMostBytes);
    const JsonReader reader(source, json);
    if (reader.text("format") != "emulsion-profile") source.refuse("its format is another");
    reader.count("format_version", 1, 1);
    Profile profile;
    profile.file = file;
    profile.network = reader.text("network");
    profile.signature = reader.text("signature");
    const std::string mode = reader.text("mode");
    if (mode != "training" && mode != "inference")
        source.refuse("\"mode\" of the file is neither training nor inference");
    profile.training = mode == "training";
    profile.variant = reader.text("variant");
    if (reader.has("device")) profile.device = reader.text("device");
    check_variant(profile, source);
    profile.threads = reader.small("threads", 1, kMostThreads);
    profile.planned_threads = reader.small("planned_threads", 1, kMostThreads);
    check_machine(profile, reader);
    profile.machine = read_machine(reader.object("machine"), profile.is_of_device());
    for (const JsonReader& call : reader.list("calls")) profile.calls.push_back(read_call(call));
    return profile;
}

}  // namespace emulsion

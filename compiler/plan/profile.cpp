// Reads a profile and refuses what cannot have been measured.
#include "compiler/plan/profile.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "compiler/recipe/group.h"
#include "compiler/support/diagnostic.h"
#include "compiler/support/text_file.h"

namespace emulsion {

namespace {

using Json = nlohmann::json;

constexpr uint64_t kMostBytes = uint64_t{16} << 20;
constexpr int64_t kMostSamples = 65536, kMostThreads = 256, kMostCalls = 1'000'000'000;
constexpr const char* kFix =
    "write one with NET-train --profile=FILE or NET-infer --profile=FILE, where NET is the network";

[[noreturn]] void refuse(const std::string& file, const std::string& problem) {
    fail("profile", fmt::format("'{}' is no profile: {}", file, problem), kFix);
}

// One object of the file; `where` names it in messages.
class Reader {
  public:
    Reader(const std::string& file, const Json& json, std::string where)
        : file_(file), json_(json), where_(std::move(where)) {
        if (!json.is_object()) refuse(file, fmt::format("{} is no object", where_));
    }

    std::string text(const char* name) const {
        const Json& value = find(name);
        if (!value.is_string() || value.get_ref<const std::string&>().empty())
            wrong(name, "is no text");
        return value.get<std::string>();
    }
    int64_t count(const char* name, int64_t least, int64_t most) const {
        const Json& value = find(name);
        if (!value.is_number_integer() || value < least || value > most)
            wrong(name, fmt::format("is no whole number from {} to {}", least, most));
        return value.get<int64_t>();
    }
    int small(const char* name, int64_t least, int64_t most) const {
        return static_cast<int>(count(name, least, most));
    }
    // A positive number, or zero where `zero` is true.
    double number(const char* name, bool zero) const {
        const Json& value = find(name);
        const double number = value.is_number() ? value.get<double>() : -1;
        if (!std::isfinite(number) || number < 0 || (number == 0 && !zero))
            wrong(name, zero ? "is no number from 0 on" : "is no number above 0");
        return number;
    }
    // The objects of a list that is not empty.
    std::vector<Reader> list(const char* name) const {
        const Json& value = find(name);
        if (!value.is_array() || value.empty()) wrong(name, "is no list with entries");
        std::vector<Reader> readers;
        for (const Json& entry : value)
            readers.emplace_back(file_, entry, fmt::format("an entry of \"{}\"", name));
        return readers;
    }
    Reader object(const char* name) const {
        return Reader(file_, find(name), fmt::format("\"{}\"", name));
    }

  private:
    const Json& find(const char* name) const {
        const auto found = json_.find(name);
        if (found == json_.end())
            refuse(file_, fmt::format("{} has no field \"{}\"", where_, name));
        return *found;
    }
    [[noreturn]] void wrong(const char* name, const std::string& problem) const {
        refuse(file_, fmt::format("\"{}\" of {} {}", name, where_, problem));
    }

    const std::string& file_;
    const Json& json_;
    std::string where_;
};

Json parse_file(const std::string& file) {
    const std::string text = read_text_file(file, kMostBytes, "profile", "profile", kFix);
    if (text.empty()) refuse(file, "it is empty");
    try {
        return Json::parse(text);
    } catch (const Json::parse_error& error) {
        refuse(file,
               fmt::format("the text is no JSON from byte {} of {} on", error.byte, text.size()));
    } catch (const Json::out_of_range&) {
        refuse(file, "the text holds a number that no double can hold");
    }
}

MachineSpeed read_machine(const Reader& reader, bool is_device) {
    MachineSpeed machine;
    machine.peak = reader.number("peak", /*zero=*/false);
    if (is_device) machine.launch = reader.number("launch", /*zero=*/false);
    for (const Reader& entry : reader.list("bandwidth")) {
        machine.bandwidth.push_back({static_cast<uint64_t>(entry.count("bytes", 1, INT64_MAX)),
                                     entry.number("read", false), entry.number("write", false)});
    }
    return machine;
}

ProfiledCall read_call(const Reader& reader) {
    ProfiledCall call;
    call.batch = reader.small("batch", 1, kMostSamples);
    call.samples = reader.small("samples", 1, call.batch);
    call.warm_up = reader.small("warm_up", 0, kMostCalls);
    call.measured = reader.small("measured", 1, kMostCalls);
    call.seconds = reader.number("seconds", /*zero=*/false);
    for (const Reader& kernel : reader.list("kernels"))
        call.kernels.push_back({kernel.text("name"), kernel.number("seconds", /*zero=*/true)});
    return call;
}

void check_variant(const Profile& profile) {
    const std::string& variant = profile.variant;
    if (profile.is_of_device()) {
        if (find_device_isa(variant) != nullptr && profile.device.starts_with(variant + ":"))
            return;
        refuse(profile.file, fmt::format("its variant '{}' is not that of its device '{}'", variant,
                                         profile.device));
    }
    if (variant == "x86-64" || variant == "avx2" || variant == "avx512") return;
    refuse(profile.file, fmt::format("its variant '{}' is none of x86-64, avx2, avx512", variant));
}

void check_machine(const Profile& profile, const Json& json) {
    if (!profile.is_of_device() || json.contains("machine")) return;
    fail("profile",
         fmt::format("'{}' was measured on the device '{}', whose own speed could not be measured",
                     profile.file, profile.device),
         "measure again, with more of its memory free");
}

}  // namespace

Profile read_profile(const std::string& file) {
    const Json json = parse_file(file);
    const Reader reader(file, json, "the file");
    if (reader.text("format") != "emulsion-profile") refuse(file, "its format is another");
    reader.count("format_version", 1, 1);
    Profile profile;
    profile.file = file;
    profile.network = reader.text("network");
    profile.signature = reader.text("signature");
    const std::string mode = reader.text("mode");
    if (mode != "training" && mode != "inference")
        refuse(file, "\"mode\" of the file is neither training nor inference");
    profile.training = mode == "training";
    profile.variant = reader.text("variant");
    if (json.contains("device")) profile.device = reader.text("device");
    check_variant(profile);
    profile.threads = reader.small("threads", 1, kMostThreads);
    profile.planned_threads = reader.small("planned_threads", 1, kMostThreads);
    check_machine(profile, json);
    profile.machine = read_machine(reader.object("machine"), profile.is_of_device());
    for (const Reader& call : reader.list("calls")) profile.calls.push_back(read_call(call));
    return profile;
}

}  // namespace emulsion

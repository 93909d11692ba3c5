// Vendor, family, model and caches are cpuid's.
#include "schedules/tune/machine_class.h"

#include <cpuid.h>
#include <fmt/ranges.h>

#include <array>
#include <charconv>
#include <cstring>
#include <vector>

#include "compiler/recipe/group.h"
#include "compiler/support/diagnostic.h"
#include "runtime/support/machine_speed.h"

namespace emulsion {

namespace {

struct Registers {
    unsigned a = 0, b = 0, c = 0, d = 0;
};

Registers cpuid(unsigned leaf, unsigned subleaf = 0) {
    Registers r;
    __get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d);
    return r;
}

std::string vendor_of(const Registers& first) {
    std::array<char, 12> text{};
    std::memcpy(text.data(), &first.b, 4);
    std::memcpy(text.data() + 4, &first.d, 4);
    std::memcpy(text.data() + 8, &first.c, 4);
    std::string vendor;
    for (char c : text) {
        if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')) vendor += c;
    }
    return vendor.empty() ? "unknown" : vendor;
}

void read_caches(MachineClass& machine) {
    const bool is_amd = machine.vendor == "AuthenticAMD" || machine.vendor == "HygonGenuine";
    const unsigned leaf = is_amd ? 0x8000001D : 4;  // of one form
    for (unsigned i = 0; i < 8; i++) {
        const Registers r = cpuid(leaf, i);
        const unsigned type = r.a & 31, level = (r.a >> 5) & 7;
        if (type == 0) break;
        if (type == 2) continue;  // instructions
        const uint64_t bytes = uint64_t{(r.b >> 22) + 1} * (((r.b >> 12) & 1023) + 1) *
                               ((r.b & 4095) + 1) * (uint64_t{r.c} + 1);
        const int kib = static_cast<int>(bytes >> 10);
        if (level == 1) machine.l1_kib = kib;
        if (level == 2) machine.l2_kib = kib;
        if (level == 3) machine.l3_kib = kib;
    }
}

// Processors with AVX-512 and the vectors of it that a core multiplies in a cycle.
struct Units {
    std::string_view vendor;
    int family, first_model, last_model, vectors;
};
constexpr int kAvx512Lanes = 16;
constexpr Units kUnits[] = {
    {"GenuineIntel", 6, 0x6A, 0x6C, 2},   // Ice Lake servers
    {"GenuineIntel", 6, 0x8F, 0x8F, 2},   // Sapphire Rapids
    {"GenuineIntel", 6, 0xAD, 0xAE, 2},   // Granite Rapids
    {"GenuineIntel", 6, 0xCF, 0xCF, 2},   // Emerald Rapids
    {"AuthenticAMD", 25, 0x00, 0xFF, 1},  // Zen 4
    {"AuthenticAMD", 26, 0x00, 0x1F, 2},  // Zen 5 servers
};

MachineClass read_machine() {
    MachineClass machine;
    machine.vendor = vendor_of(cpuid(0));
    const unsigned signature = cpuid(1).a;
    const unsigned base = (signature >> 8) & 15;
    machine.family = static_cast<int>(base + (base == 15 ? (signature >> 20) & 255 : 0));
    machine.model = static_cast<int>(((signature >> 4) & 15) | (((signature >> 16) & 15) << 4));
    read_caches(machine);
    const std::string isa(native_isa().name);
    if (isa == "avx512") machine.fma = known_multiply_adds(machine);
    if (machine.fma == 0) machine.fma = measure_multiply_adds_per_cycle(isa);
    return machine;
}

[[noreturn]] void refuse(std::string_view text) {
    fail("record", fmt::format("'{}' is no machine class", text),
         "write it as VENDOR-FAMILY-MODEL-l1.KIB-l2.KIB-l3.KIB-fma.COUNT");
}

int number_of(std::string_view text, std::string_view part, std::string_view prefix) {
    if (!part.starts_with(prefix)) refuse(text);
    part.remove_prefix(prefix.size());
    int value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc() || end != part.data() + part.size() || value < 0) refuse(text);
    return value;
}

}  // namespace

int known_multiply_adds(const MachineClass& machine) {
    for (const Units& units : kUnits) {
        if (units.vendor == machine.vendor && units.family == machine.family &&
            units.first_model <= machine.model && machine.model <= units.last_model)
            return units.vectors * kAvx512Lanes;
    }
    return 0;
}

std::string to_string(const MachineClass& m) {
    return fmt::format("{}-{}-{}-l1.{}-l2.{}-l3.{}-fma.{}", m.vendor, m.family, m.model, m.l1_kib,
                       m.l2_kib, m.l3_kib, m.fma);
}

MachineClass parse_machine_class(std::string_view text) {
    std::vector<std::string_view> parts;
    for (size_t begin = 0;;) {
        const size_t end = text.find('-', begin);
        parts.push_back(text.substr(begin, end - begin));
        if (end == std::string_view::npos) break;
        begin = end + 1;
    }
    if (parts.size() != 7 || parts[0].empty()) refuse(text);
    MachineClass machine;
    machine.vendor = parts[0];
    machine.family = number_of(text, parts[1], "");
    machine.model = number_of(text, parts[2], "");
    machine.l1_kib = number_of(text, parts[3], "l1.");
    machine.l2_kib = number_of(text, parts[4], "l2.");
    machine.l3_kib = number_of(text, parts[5], "l3.");
    machine.fma = number_of(text, parts[6], "fma.");
    return machine;
}

MachineClass machine_class_named(std::string_view text, const std::set<MachineClass>& known) {
    std::vector<std::string> names, fitting;
    for (const MachineClass& machine : known) {
        names.push_back(to_string(machine));
        if ((names.back() + "-").starts_with(std::string(text) + "-"))
            fitting.push_back(names.back());
    }
    if (fitting.size() == 1) return parse_machine_class(fitting[0]);
    if (fitting.size() > 1) {
        fail("machine",
             fmt::format("'{}' is the beginning of {} machine classes", text, fitting.size()),
             fmt::format("write one of them whole: {}", fmt::join(fitting, ", ")));
    }
    if (text.find("-fma.") != std::string_view::npos) return parse_machine_class(text);
    fail("machine", fmt::format("no record is of a machine class that begins with '{}'", text),
         names.empty() ? "name records, or leave the class out"
                       : fmt::format("the records are of {}", fmt::join(names, ", ")));
}

const MachineClass& this_machine() {
    static const MachineClass machine = read_machine();
    return machine;
}

}  // namespace emulsion

// What a record's times hold for: processors that run the same code equally fast, as far as what
// they say of themselves and one short measurement can tell.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

namespace emulsion {

struct MachineClass {
    std::string vendor = "unknown";  // as the processor spells it: "AuthenticAMD"
    int family = 0, model = 0;
    int l1_kib = 0, l2_kib = 0,
        l3_kib = 0;  // data caches: of a core, of a core, as shared; 0: none
    int fma = 0;  // f32 multiply-adds that a core begins in a cycle, of the widest instruction set
    bool operator==(const MachineClass&) const = default;
    auto operator<=>(const MachineClass&) const = default;
};

// "AuthenticAMD-26-2-l1.48-l2.1024-l3.32768-fma.32": one word, for records.
std::string to_string(const MachineClass& machine);
// Throws Error[record].
MachineClass parse_machine_class(std::string_view text);

// The class that a user names: whole, or its first parts ("AuthenticAMD-26-2"), where they are
// those of one of the `known` alone. Throws Error[machine].
MachineClass machine_class_named(std::string_view text, const std::set<MachineClass>& known);

// MachineClass::fma of a processor with AVX-512 that is known by vendor, family and model; 0 of
// others, and of those whose siblings differ. Source: the makers' optimization manuals.
int known_multiply_adds(const MachineClass& machine);

// That of the processor this runs on. `fma` is measured where it is not known, once a process,
// which takes some 10 ms.
const MachineClass& this_machine();

}  // namespace emulsion

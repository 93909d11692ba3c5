// Where an op's code is, its entry in the registry tells: its function `make` is made where the op
// is registered.
#include "compiler/codegen/own_ops.h"

#include <dlfcn.h>
#include <fmt/ranges.h>
#include <sys/auxv.h>

#include <map>
#include <set>

#include "compiler/codegen/kernel.h"
#include "compiler/ops/registry.h"

namespace emulsion {

namespace {

// The file that this address was loaded from. The program's own file may be gone (that of a model
// is temporary), but not what the system knows it by.
std::string file_of(const void* address) {
    Dl_info found{}, program{};
    if (dladdr(address, &found) == 0 || found.dli_fname == nullptr) return "";
    const auto* headers = reinterpret_cast<const void*>(getauxval(AT_PHDR));
    const bool is_program = dladdr(headers, &program) != 0 && program.dli_fbase == found.dli_fbase;
    return is_program ? "/proc/self/exe" : found.dli_fname;
}

// Of a file's content; read once.
const std::string& content_of(const std::string& file) {
    static std::map<std::string, std::string> known;
    const auto [entry, is_new] = known.emplace(file, "");
    if (is_new) entry->second = build_identity_of(file);
    return entry->second;
}

}  // namespace

std::string own_ops_identity(const Group& group) {
    std::set<std::string> contents;
    for (const Node& node : group.body.nodes()) {
        const std::string kind(node.op->kind());
        if (is_built_in(kind)) continue;
        const OpEntry* entry = find_op(kind);
        if (entry == nullptr)
            fail("op", fmt::format("the op '{}' is not registered", kind),
                 "write register_ops<CLASS>(m) in the model file");
        contents.insert(content_of(file_of(reinterpret_cast<const void*>(entry->make))));
    }
    return fmt::format("{}", fmt::join(contents, " "));
}

}  // namespace emulsion

// The limits that depend on the machine.
#include "runtime/support/limits.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>

#include "runtime/support/text.h"

namespace emulsion {

namespace {

// The first line of one of the system's files, or nothing.
std::string read_line(const std::string& path) {
    std::FILE* file = std::fopen(path.c_str(), "re");
    if (file == nullptr) return "";
    char line[4096];
    std::string text = std::fgets(line, sizeof line, file) ? line : "";
    std::fclose(file);
    if (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

// The least limit of the control group (version 2) and those around it.
uint64_t group_limit() {
    constexpr std::string_view kStart = "0::";
    const std::string line = read_line("/proc/self/cgroup");
    uint64_t least = UINT64_MAX;
    if (!line.starts_with(kStart)) return least;
    std::string group = line.substr(kStart.size());
    while (true) {
        const auto limit =
            parse_unsigned(read_line(concat("/sys/fs/cgroup", group, "/memory.max")));
        least = std::min(least, limit.value_or(UINT64_MAX));
        if (group.empty() || group == "/") return least;
        group.resize(group.rfind('/'));
    }
}

}  // namespace

uint64_t most_data_bytes() {
    const auto pages = static_cast<uint64_t>(std::max(1L, sysconf(_SC_PHYS_PAGES)));
    const auto page = static_cast<uint64_t>(std::max(1L, sysconf(_SC_PAGESIZE)));
    return std::min(pages * page, group_limit()) / 4 * 3;
}

}  // namespace emulsion

// The limits that depend on the machine.
#include "runtime/support/limits.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/support/text.h"

namespace emulsion {

namespace {

// The lines of one of the system's files; none where it cannot be read.
std::vector<std::string> read_lines(const std::string& path) {
    std::vector<std::string> lines;
    std::FILE* file = std::fopen(path.c_str(), "re");
    if (file == nullptr) return lines;
    char line[4096];
    while (std::fgets(line, sizeof line, file) != nullptr) {
        lines.emplace_back(line);
        if (lines.back().back() == '\n') lines.back().pop_back();
    }
    std::fclose(file);
    return lines;
}

// The least limit that this file states for the group below `root` or one around it.
uint64_t least_limit(const std::string& root, std::string group, std::string_view name) {
    uint64_t least = UINT64_MAX;
    while (true) {
        const auto lines = read_lines(concat(root, group, "/", name));
        const auto limit = parse_unsigned(lines.empty() ? "" : lines[0]);
        least = std::min(least, limit.value_or(UINT64_MAX));
        const size_t slash = group.rfind('/');
        if (slash == std::string::npos) return least;
        group.resize(slash);
    }
}

}  // namespace

uint64_t cgroup_memory_limit(const std::string& membership, const std::string& root) {
    uint64_t least = UINT64_MAX;
    for (const std::string& line : read_lines(membership)) {
        const size_t list = line.find(':');  // number:controllers:path
        const size_t path = line.find(':', list + 1);
        if (list == std::string::npos || path == std::string::npos) continue;
        const std::string controllers = concat(",", line.substr(list + 1, path - list - 1), ",");
        const std::string group = line.substr(path + 1);
        if (controllers == ",,") least = std::min(least, least_limit(root, group, "memory.max"));
        if (controllers.find(",memory,") != std::string::npos)
            least = std::min(least, least_limit(root + "/memory", group, "memory.limit_in_bytes"));
    }
    return least;
}

uint64_t most_data_bytes() {
    const auto pages = static_cast<uint64_t>(std::max(1L, sysconf(_SC_PHYS_PAGES)));
    const auto page = static_cast<uint64_t>(std::max(1L, sysconf(_SC_PAGESIZE)));
    return std::min(pages * page, cgroup_memory_limit("/proc/self/cgroup", "/sys/fs/cgroup")) / 4 *
           3;
}

}  // namespace emulsion

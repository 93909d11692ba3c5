// See processors.h.
#include "schedules/tune/processors.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <string>

#include "runtime/abi/instance.h"

namespace emulsion {

namespace {

using Set = std::array<uint64_t, EMULSION_CPU_SET_WORDS>;

// The text names the processors of a core, the same for each of them; where the system does not
// say, a processor is a core.
std::string core_of(int processor) {
    std::ifstream file(
        fmt::format("/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", processor));
    std::string text;
    return std::getline(file, text) ? text : std::to_string(processor);
}

}  // namespace

Cores allowed_cores() {
    Set allowed{};
    sched_getaffinity(0, sizeof allowed, reinterpret_cast<cpu_set_t*>(allowed.data()));
    std::map<std::string, size_t> places;
    Cores cores;
    for (int processor = 0; processor < 64 * static_cast<int>(allowed.size()); processor++) {
        if ((allowed[static_cast<size_t>(processor / 64)] >> (processor % 64) & 1) == 0) continue;
        const auto [place, is_new] = places.emplace(core_of(processor), cores.size());
        if (is_new) cores.emplace_back();
        cores[place->second].push_back(processor);
    }
    return cores;
}

ProcessorShares share_processors(const Cores& cores, int threads, int jobs, int worth) {
    ProcessorShares shares;
    const int most = std::min(jobs, worth - threads);
    for (size_t i = 0; i < cores.size(); i++) {
        const int left =
            i < static_cast<size_t>(threads) ? 0 : most - static_cast<int>(shares.spare.size());
        for (size_t k = 0; k < cores[i].size(); k++) {
            if (left <= 0) {
                shares.timing.push_back(cores[i][k]);
            } else if (static_cast<int>(k) < left) {
                shares.spare.push_back(cores[i][k]);
            }
        }
    }
    return shares;
}

void run_on(const std::vector<int>& processors) {
    Set set{};
    for (const int processor : processors)
        set[static_cast<size_t>(processor / 64)] |= uint64_t{1} << (processor % 64);
    sched_setaffinity(0, sizeof set, reinterpret_cast<cpu_set_t*>(set.data()));
}

}  // namespace emulsion

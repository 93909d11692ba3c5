// Matches the kernels of plan and profile, computes bounds, prints the table.
#include "compiler/plan/roofline.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

namespace emulsion {

namespace {

constexpr size_t kColumns = 100;
constexpr size_t kWidestName = 22;
constexpr double kSmallest = 1e-3;  // share of the call below which kernels share a row

// All calls of one kernel in one call of the library.
struct Row {
    const PlannedKernel* kernel = nullptr;
    std::string name;  // of the first call
    int calls = 0;
    double seconds = 0, bound = 0;
    double operations = 0, bytes = 0;                // of the plain definitions, of the tensors
    double operation_seconds = 0, byte_seconds = 0;  // that they take at peak and bandwidth
    double gain() const { return std::max(0.0, seconds - bound); }
};

// ---- Matching ----

// The calls that run with a batch, by their line.
std::map<std::string, const PlannedCall*> calls_by_line(const VariantPlan& variant, int batch) {
    std::map<std::string, const PlannedCall*> calls;
    for (const BatchPlan& plan : variant.batches) {
        for (const PlannedCall& call : plan.calls) {
            const bool is_shared = call.stage == Stage::update;  // stands in the first batch only
            if (call.stage == Stage::prepare || (plan.batch != batch && !is_shared)) continue;
            calls[call_line(variant, call)] = &call;
        }
    }
    return calls;
}

[[noreturn]] void refuse_kernels(const Profile& profile, const std::string& problem) {
    fail("profile",
         fmt::format("'{}' was measured on other kernels than those of the plan: {}", profile.file,
                     problem),
         "give show the options of that build, such as --exact or --machine, or build and profile "
         "anew");
}

// ---- Bounds ----

struct Traffic {
    double read = 0, written = 0;
};

// Bytes of the call's tensors, each once.
Traffic traffic_of(const VariantPlan& variant, const PlannedCall& call, int samples) {
    const Graph& body = variant.kernels[static_cast<size_t>(call.kernel)].group.body;
    const size_t operands = call.buffers.size() - body.results().size();
    std::set<int> seen;
    Traffic traffic;
    for (size_t i = 0; i < call.buffers.size(); i++) {
        const TensorType& type = variant.buffers[static_cast<size_t>(call.buffers[i])].type;
        const auto bytes = static_cast<double>(memory_bytes(type, samples));
        if (i >= operands) traffic.written += bytes;
        if (i < operands && seen.insert(call.buffers[i]).second) traffic.read += bytes;
    }
    return traffic;
}

std::vector<Row> rows_of(const VariantPlan& variant, const Profile& profile,
                         const ProfiledCall& measured) {
    std::map<std::string, const PlannedCall*> calls = calls_by_line(variant, measured.batch);
    std::map<int, Row> rows;  // by kernel
    for (const ProfiledKernel& kernel : measured.kernels) {
        const auto found = calls.find(kernel.name);
        if (found == calls.end())
            refuse_kernels(profile, fmt::format("'{}' is not among them", kernel.name));
        const PlannedCall& call = *found->second;
        calls.erase(found);
        Row& row = rows[call.kernel];
        row.kernel = &variant.kernels[static_cast<size_t>(call.kernel)];
        if (row.calls++ == 0) row.name = call.name;
        const Group& group = row.kernel->group;
        const double share = group.has_samples() ? 1.0 * measured.samples / group.batch : 1.0;
        const Traffic traffic = traffic_of(variant, call, measured.samples);
        const double at_bandwidth = byte_seconds(traffic.read, traffic.written, profile.machine);
        const double operations =
            2 * share * static_cast<double>(row.kernel->group.multiply_adds());
        row.seconds += kernel.seconds;
        row.operations += operations;
        row.operation_seconds += operations / profile.machine.peak;
        row.bytes += traffic.read + traffic.written;
        row.byte_seconds += at_bandwidth;
        const double at_peak = 2 * share * row.kernel->multiply_adds / profile.machine.peak;
        row.bound += std::max({at_peak, at_bandwidth, profile.machine.launch});
    }
    if (!calls.empty())
        refuse_kernels(profile, fmt::format("'{}' was not measured", calls.begin()->first));
    std::vector<Row> sorted;
    for (const auto& [index, row] : rows) sorted.push_back(row);
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const Row& a, const Row& b) { return a.gain() > b.gain(); });
    return sorted;
}

// ---- Text ----

std::string plural(int count, const char* word) {
    return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s");
}

std::string size_text(uint64_t bytes) {
    return bytes < 1 << 20 ? fmt::format("{} KiB", bytes >> 10)
                           : fmt::format("{} MiB", bytes >> 20);
}

// Four digits of what matters: 0.036, 4.214, 24.85, 231.2.
std::string digits(double value) {
    return fmt::format("{:.{}f}", value, value < 10 ? 3 : value < 100 ? 2 : 1);
}

std::string rate(double bytes) {
    return fmt::format("{:.{}f}", bytes * 1e-9, bytes < 10e9 ? 1 : 0);
}

std::string percent(double part, double whole) {
    if (whole <= 0) return "-";
    return part < 9.995 * whole ? fmt::format("{:.0f} %", 100 * part / whole) : ">999%";
}

// "avx512, 2 threads", "opencl:0".
std::string where(const Profile& profile) {
    if (profile.is_of_device()) return profile.device;
    return fmt::format("{}, {}", profile.variant, plural(profile.threads, "thread"));
}

std::string head(const Plan& plan, const Profile& profile, const ProfiledCall& call) {
    std::vector<std::string> rates;
    for (const Bandwidth& entry : profile.machine.bandwidth) {
        rates.push_back(
            fmt::format("{} {}/{}", size_text(entry.bytes), rate(entry.read), rate(entry.write)));
    }
    const std::string launch =
        profile.is_of_device() ? fmt::format("a launch {:.1f} us; ", profile.machine.launch * 1e6)
                               : "";
    return fmt::format(
        "{}, {} of {} on {}: medians of {} calls after {} to warm up\n"
        "peak {:.1f} GFLOP/s; {}GB/s read/written within blocks of these sizes:\n  {}\n\n",
        plan.network, plan.training ? "training" : "inference", plural(call.samples, "sample"),
        where(profile), call.measured, call.warm_up, profile.machine.peak * 1e-9, launch,
        fmt::join(rates, ", "));
}

std::string numbers(const Row& row) {
    const bool has_operations = row.operations > 0;
    return fmt::format("{:>7}{:>7}{:>7}{:>6}{:>6}{:>7}{:>7}  ", digits(1e3 * row.gain()),
                       digits(1e3 * row.seconds), digits(1e3 * row.bound),
                       has_operations ? percent(row.operation_seconds, row.seconds) : "-",
                       percent(row.byte_seconds, row.seconds),
                       has_operations ? digits(row.operations * 1e-9) : "-",
                       digits(row.bytes * 1e-6));
}

// "conv2 x6": the first call's name and how many there are.
std::string name_of(const Row& row) {
    return row.calls == 1 ? row.name : fmt::format("{} x{}", row.name, row.calls);
}

// Recipe and tiling stand in a column, move left where they would pass the last one, and go to a
// line of their own where that is not enough.
std::string row_text(const Row& row, size_t name_width) {
    const std::string start = numbers(row), name = name_of(row);
    std::string recipe = row.kernel->recipe;
    if (!row.kernel->tiling.values.empty()) recipe += " " + to_string(row.kernel->tiling);
    for (size_t width : {name_width, name.size()}) {
        const std::string line = fmt::format("{}{:<{}}  {}\n", start, name, width, recipe);
        if (line.size() <= kColumns + 1) return line;
    }
    const size_t indent = std::min(start.size() + 2, kColumns - std::min(recipe.size(), kColumns));
    return fmt::format("{}{}\n{:{}}{}\n", start, name, "", indent, recipe);
}

std::string table(const std::vector<Row>& rows, const ProfiledCall& call) {
    const auto is_small = [&](const Row& row) { return row.seconds < kSmallest * call.seconds; };
    size_t name_width = 0;
    for (const Row& row : rows) {
        if (!is_small(row))
            name_width = std::max(name_width, std::min(name_of(row).size(), kWidestName));
    }
    std::string text =
        fmt::format("{:>7}{:>7}{:>7}{:>6}{:>6}{:>7}{:>7}  {:<{}}  recipe, tiling\n", "gain", "time",
                    "bound", "peak", "mem", "Gop", "MB", "kernel", name_width);
    Row small;
    for (const Row& row : rows) {
        if (!is_small(row)) {
            text += row_text(row, name_width);
            continue;
        }
        small.calls++;
        small.seconds += row.seconds, small.bound += row.bound;
        small.operations += row.operations, small.bytes += row.bytes;
        small.operation_seconds += row.operation_seconds;
        small.byte_seconds += row.byte_seconds;
    }
    if (small.calls == 0) return text;
    return text + numbers(small) +
           fmt::format("{} of less than {} % of the call each\n", plural(small.calls, "kernel"),
                       100 * kSmallest);
}

std::string foot(const std::vector<Row>& rows, const ProfiledCall& call) {
    double kernels = 0, bound = 0;
    for (const Row& row : rows) kernels += row.seconds, bound += row.bound;
    return fmt::format(
        "\na call takes {} ms: {} in kernels, {} between them; the bounds add up to {} ms, {}\n",
        digits(1e3 * call.seconds), digits(1e3 * kernels), digits(1e3 * (call.seconds - kernels)),
        digits(1e3 * bound), percent(bound, call.seconds));
}

constexpr const char* kDeviceLegend =
    "gain = time - bound, in ms; time = launch, run and wait; bound = the longest of a launch,\n"
    "operations at the peak and bytes at the bandwidth of a block no larger; peak, Gop: "
    "operations\n"
    "of the plain definition; mem: share of the time that the bytes need\n";
constexpr const char* kLegend =
    "gain = time - bound, in ms; bound = the longer of operations at the peak and bytes at the\n"
    "bandwidth of a block no larger; peak, Gop: operations of the plain definition, so Winograd,\n"
    "which saves some, may pass 100 %; mem: share of the time that the bytes need\n";

// What recipes that are not exact state of their error.
std::string errors(const VariantPlan& variant) {
    std::map<std::string, double> bounds;
    for (const PlannedKernel& kernel : variant.kernels) {
        if (kernel.relative_error == 0) continue;
        double& bound = bounds[kernel.recipe];
        bound = std::max(bound, kernel.relative_error);
    }
    std::string text;
    for (const auto& [recipe, bound] : bounds) {
        text += fmt::format("{} differs from double precision by at most {} of the largest value\n",
                            recipe, bound);
    }
    return text;
}

}  // namespace

double byte_seconds(double read, double written, const MachineSpeed& machine) {
    const Bandwidth* rates = &machine.bandwidth.at(0);
    for (const Bandwidth& entry : machine.bandwidth) {
        if (static_cast<double>(entry.bytes) <= read + written) rates = &entry;
    }
    return read / rates->read + written / rates->write;
}

std::string roofline_text(const Plan& plan, const Profile& profile) {
    EMU_CHECK(plan.variants.size() == 1, "a roofline is that of one variant");
    std::string text;
    for (const ProfiledCall& call : profile.calls) {
        const std::vector<Row> rows = rows_of(plan.variants[0], profile, call);
        text += head(plan, profile, call) + table(rows, call) + foot(rows, call) + "\n";
    }
    return text + (profile.is_of_device() ? kDeviceLegend : kLegend) + errors(plan.variants[0]);
}

}  // namespace emulsion

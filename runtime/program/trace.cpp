// See trace.h. The format: "Trace Event Format" of Chrome, JSON object form; times are
// microseconds. Perfetto takes a file for one where it begins with `{"`.
#include "runtime/program/trace.h"

#include <nlohmann/json.hpp>

#include "runtime/program/profile.h"
#include "runtime/support/atomic_file.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kProcess = 1, kCalls = 1, kKernels = 2;  // rows of the process

double microseconds(int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e3; }

Json name_event(const char* what, int row, const std::string& name) {
    return {
        {"ph", "M"}, {"name", what}, {"pid", kProcess}, {"tid", row}, {"args", {{"name", name}}}};
}

Json complete_event(const std::string& name, int row, int64_t begin, int64_t end, Json args) {
    return {{"ph", "X"},
            {"name", name},
            {"pid", kProcess},
            {"tid", row},
            {"ts", microseconds(begin)},
            {"dur", microseconds(end - begin)},
            {"args", std::move(args)}};
}

Json call_event(const ProfileFacts& facts, const TracedCall& call, int64_t start) {
    int64_t kernels = 0;
    for (const TracedKernel& kernel : call.kernels) kernels += kernel.end - kernel.begin;
    const char* what = facts.mode == "training" ? "step of " : "run of ";
    return complete_event(concat(what, call.samples, call.samples == 1 ? " sample" : " samples"),
                          kCalls, call.begin - start, call.end - start,
                          {{"batch", call.batch},
                           {"kernels_us", microseconds(kernels)},
                           {"between_us", microseconds(call.end - call.begin - kernels)}});
}

std::string kernels_row(const ProfileFacts& facts) {
    if (!facts.device.is_processor()) return concat("launches on ", facts.device.option);
    return concat("kernels on ", facts.variant, ", ", facts.threads,
                  facts.threads == 1 ? " thread" : " threads");
}

}  // namespace

std::string trace_json(const ProfileFacts& facts, std::span<const TracedCall> calls) {
    const emulsion_info& info = *facts.info;
    std::string text = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[";
    const char* separator = "\n";
    const auto add = [&](const Json& event) {
        text += separator + event.dump(-1, ' ', false, Json::error_handler_t::replace);
        separator = ",\n";
    };
    add(name_event("process_name", kCalls, concat(info.network, ", ", facts.mode)));
    add(name_event("thread_name", kCalls, "calls"));
    add(name_event("thread_name", kKernels, kernels_row(facts)));
    const int64_t start = calls.empty() ? 0 : calls.front().begin;
    for (const TracedCall& call : calls) {
        add(call_event(facts, call, start));
        for (const TracedKernel& kernel : call.kernels) {
            add(complete_event(one_line(info.kernels[kernel.kernel]), kKernels,
                               kernel.begin - start, kernel.end - start,
                               {{"kernel", kernel.kernel}}));
        }
    }
    return text + "\n]}\n";
}

void write_trace(const std::string& path, const ProfileFacts& facts,
                 std::span<const TracedCall> calls) {
    write_file(path, trace_json(facts, calls));
}

std::string trace_written_text(const std::string& path, size_t calls) {
    return concat("trace of ", calls, calls == 1 ? " call" : " calls", " written to ",
                  one_line(path), "; ui.perfetto.dev opens it\n");
}

}  // namespace emulsion

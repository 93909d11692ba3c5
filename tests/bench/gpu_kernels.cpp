// Prints what the kernels of networks become on CUDA: gpu_kernels NET…, such as
//
//     gpu_kernels resnet18 squeezenet1_1
//
// NET is one of the example networks, at the batch that its build takes; without one: lenet,
// resnet20, resnet18 and squeezenet1_1. Each kernel of training and inference is compiled (or taken
// from the cache), then assembled for sm_80 and sm_90. A line gives, for each launch with at least
// 64 FFMA in its hottest loop or with a fault, registers (sm_80/sm_90), spilled bytes, the share of
// FFMA among the instructions of that loop, and how many of its loads are 128 bits wide; then
// recipe, tiling and group. It ends with the numbers of launches and of those with spills, and
// fails where there are any. No GPU is used.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <future>
#include <set>

#include "compiler/pipeline.h"
#include "schedules/library.h"
#include "tests/support/cuda_code.h"
#include "tests/support/golden.h"

namespace emulsion::test {
namespace {

constexpr int kFewestFfma = 64;
constexpr size_t kAtOnce = 4;

int batch_of(const std::string& network) {
    for (const ExampleNetwork& example : kExampleNetworks)
        if (network == example.name) return example.batch;
    return 1;
}

std::vector<PlannedKernel> kernels_of(const std::vector<std::string>& networks,
                                      const RecipeLibrary& recipes) {
    std::vector<PlannedKernel> kernels;
    std::set<std::string> seen;
    for (const std::string& name : networks) {
        const Network network = golden_network(name);
        for (bool is_training : {true, false}) {
            PlanOptions options;
            options.training = is_training;
            options.batches = {is_training ? batch_of(name) : 1};
            options.isas = {isa_cuda()};
            const Plan plan = make_plan(is_training ? training_graph(network, /*exact=*/true)
                                                    : inference_graph(network, /*exact=*/true),
                                        recipes, options);
            for (const PlannedKernel& kernel : plan.variants[0].kernels) {
                if (seen.insert(kernel.identity(isa_cuda())).second) kernels.push_back(kernel);
            }
        }
    }
    return kernels;
}

struct Report {
    int launches = 0, spilling = 0;
    std::string lines;
};

Report report_of(const PlannedKernel& planned, const CompiledKernel& kernel) {
    Report report;
    const std::vector<CudaEntry> old = cuda_entries(kernel, "sm_80", false);
    const std::vector<CudaEntry> entries = cuda_entries(kernel, "sm_90", true);
    for (size_t i = 0; i < entries.size(); i++) {
        const int spills = old[i].spill_bytes + entries[i].spill_bytes;
        report.launches++;
        if (spills > 0) report.spilling++;
        if (spills == 0 && entries[i].ffma < kFewestFfma) continue;
        report.lines += fmt::format(
            "{:3}/{:3} {:5} {:5.1f} % {:3}/{:3}  {} {}\n  {}\n", old[i].registers,
            entries[i].registers, spills, 100 * entries[i].ffma_share(), entries[i].wide_loads,
            entries[i].loads, planned.recipe, to_string(planned.tiling), planned.group.signature());
    }
    return report;
}

int run(std::vector<std::string> networks) {
    if (networks.empty()) networks = {"lenet", "resnet20", "resnet18", "squeezenet1_1"};
    const RecipeLibrary recipes = make_library();
    const std::vector<PlannedKernel> kernels = kernels_of(networks, recipes);
    const std::vector<CompiledKernel> compiled =
        compile_kernels(kernels, isa_cuda(), recipes, KernelOptions{});
    Report all;
    std::printf("registers spills  FFMA   wide  kernel\n");
    for (size_t first = 0; first < kernels.size(); first += kAtOnce) {
        std::vector<std::future<Report>> reports;
        for (size_t i = first; i < std::min(kernels.size(), first + kAtOnce); i++) {
            reports.push_back(std::async(std::launch::async, report_of, std::cref(kernels[i]),
                                         std::cref(compiled[i])));
        }
        for (std::future<Report>& future : reports) {
            const Report report = future.get();
            all.launches += report.launches;
            all.spilling += report.spilling;
            std::fputs(report.lines.c_str(), stdout);
        }
    }
    std::printf("%d launches of %zu kernels, %d with spills\n", all.launches, kernels.size(),
                all.spilling);
    return all.spilling > 0 ? 1 : 0;
}

}  // namespace
}  // namespace emulsion::test

int main(int argc, char** argv) {
    return emulsion::test::run(std::vector<std::string>(argv + 1, argv + argc));
}

// A device waits some microseconds at each launch, so a step of small maps is as long as it has
// launches.
#include <gtest/gtest.h>

#include "compiler/pipeline.h"
#include "compiler/plan/plan.h"
#include "schedules/library.h"
#include "tests/support/golden.h"

namespace emulsion::test {
namespace {

// Of a training step: a call is one, and one more for each scratch that it fills; a device's tests
// of loss and gradients are two.
size_t launches(const std::string& network, int batch, const Isa& isa) {
    PlanOptions options;
    options.training = true;
    options.batches = {batch};
    options.isas = {isa};
    const Network net = golden_network(network);
    const Plan plan = make_plan(isa.is_device() ? device_training_graph(net) : training_graph(net),
                                make_library(), options);
    const VariantPlan& variant = plan.variants[0];
    size_t count = isa.is_device() ? 2 : 0;
    for (const PlannedCall& call : variant.batches[0].calls) {
        count++;
        if (isa.is_device()) count += call.scratch.size();
    }
    return count;
}

TEST(DeviceLaunches, OfResnet20AreThoseOfTheProcessor) {
    const size_t processor = launches("resnet20", 128, isa_avx512());
    for (const Isa* isa : {&isa_opencl(), &isa_cuda()})
        EXPECT_LE(launches("resnet20", 128, *isa), processor * 24 / 23) << isa->name;
}

}  // namespace
}  // namespace emulsion::test

// See tune_support.h.
#include "tests/tune/tune_support.h"

#include "compiler/ops/activations.h"
#include "compiler/ops/dense.h"
#include "compiler/ops/sources.h"
#include "compiler/plan/choice.h"

namespace emulsion::test {

MachineClass some_machine() { return {"TestMachine", 7, 3, 32, 512, 4096, 16}; }

TunedRecord some_record(const std::string& signature, double gain) {
    TunedRecord record;
    record.machine = some_machine();
    record.isa = "avx2";
    record.threads = 2;
    record.recipe = "matmul";
    record.version = 1;
    record.tiling = parse_tiling("kw=16 tn=4 chains=1");
    record.default_us = 100 * gain;
    record.tuned_us = 100;
    record.spread = 0.01;
    record.signature = signature;
    return record;
}

PlannedKernel dense_kernel(const RecipeLibrary& library, const Isa& isa, int64_t outputs,
                           bool has_relu) {
    GraphBuilder builder("group");
    const Value a = builder.add(std::make_shared<Input>(batched_type({24})), {}, "a0");
    const Value w = builder.add(std::make_shared<Input>(plain_type({outputs, 24})), {}, "a1");
    const Value y = builder.add(std::make_shared<Dense>(), {a, w}, "v0");
    const Value result = has_relu ? builder.add(std::make_shared<Relu>(), {y}, "v1") : y;
    builder.output("r0", result);
    PlannedKernel kernel;
    kernel.group.anchor = y.node;
    kernel.group.body = builder.build();
    kernel.group.batch = 4;
    const Choice choice = cheapest_recipe(library, kernel.group, isa, {});
    kernel.recipe = choice.recipe->name();
    kernel.recipe_version = choice.recipe->version();
    kernel.tiling = choice.tiling;
    return kernel;
}

}  // namespace emulsion::test

// Lesson 2: tuning.
//
// A convolution can be computed in many ways that differ in nothing but speed: how many outputs are
// kept in registers, how large the parts are that stay in a cache, in which order the loops run.
// Emulsion chooses by a model of the processor. The tuner measures instead, on your processor, and
// writes what was faster into a file of records. Copy this file to a folder of your own, then:
//
// 1. Build the network as it is, and time an inference:
//
//     emulsion build lesson_02_tuning.cpp --infer-batch 1 --threads 1 -o before
//     before/tuning-infer --benchmark --threads 1
//
// 2. Tune it. A record holds for a size of batch and prefers a number of threads, so both are those
// of the build. Each line is a candidate: what it took, and what the best so far took beside it.
// The table at the end has a row for each kernel; `share` is its part of a step, and below the
// table stands how many times as fast an inference is. Close other programs meanwhile: a winner
// that was measured beside them becomes no record until the next run.
//
//     emulsion tune lesson_02_tuning.cpp --infer-batch 1 --threads 1 --minutes 2
//
// End it with Ctrl-C whenever you like. The same command goes on where it was; once the two minutes
// are spent, give it more. All measurements are in lesson_02_tuning.journal.
//
// 3. Read the records: gain over the default, time, where it holds, schedule, ops. Then see how
// well the model of the processor foretold what was measured; 1 is a perfect order, 0 none at all.
//
//     emulsion records list lesson_02_tuning.records
//     emulsion records model --journal lesson_02_tuning.journal
//
// 4. Rebuild. The records beside the model are taken without being asked for, and the plan names
// the line that each kernel follows. `--no-records` leaves them out.
//
//     emulsion show lesson_02_tuning.cpp --emit=plan --infer-batch 1 --threads 1
//     emulsion build lesson_02_tuning.cpp --infer-batch 1 --threads 1 -o after
//
// 5. See the gain; run both in turn a few times, since a processor is not always equally fast:
//
//     after/tuning-infer --benchmark --threads 1
//
// 6. Ship the records: they are text, to be kept beside the model and looked at as a diff. Records
// of several machines go into one file, and a build takes those of the machine it runs on.
//
//     emulsion records export lesson_02_tuning.records -o this.records
//     emulsion records merge this.records -o all.records
//     emulsion build lesson_02_tuning.cpp --infer-batch 1 --threads 1 --records all.records -o ship
#include "dsl/emulsion.h"

using namespace emulsion;

int main(int argc, char** argv) {
    Model m("tuning");
    Tensor x = m.input("image", {3, 32, 32});
    // Three layers of different shapes, each with a best schedule of its own.
    x = relu(conv(x, 32, {.kernel = 3, .padding = same}));
    x = max_pool(relu(conv(x, 64, {.kernel = 3, .padding = same})), {.window = 2});
    x = max_pool(relu(conv(x, 64, {.kernel = 3, .padding = same})), {.window = 2});
    m.output("scores", dense(global_average_pool(x), 10));
    // Without a loss it is built, and tuned, for inference alone.
    return compile(m, argc, argv);
}

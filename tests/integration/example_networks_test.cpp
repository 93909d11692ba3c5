// The networks of examples/networks/ at small sizes: the loss of one batch falls over a few steps,
// and what inference makes of it afterwards is finite.
//
// EMULSION_LONG_TESTS=1 in the environment of this program: all of them, in place of the two that
// ctest knows.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ostream>
#include <sstream>
#include <string_view>
#include <vector>

#include "compiler/graph/text.h"
#include "tests/integration/integration_support.h"
#include "tests/support/paths.h"

namespace emulsion::test {
namespace {

struct Example {
    const char* file;
    const char* settings = "";  // as a command line has them
    float rate = 0.01f;
    bool is_long = true;
};
std::ostream& operator<<(std::ostream& out, const Example& example) {
    return out << example.file << ' ' << example.settings;
}

constexpr Example kExamples[] = {
    {"zipcode1989", "", 0.05f, false},
    {"alphago_zero", "--set blocks=1 --set width=16", 0.02f, false},
    {"alexnet", "--set size=67 --set classes=5"},
    {"ciresan_mlp", "", 0.001f},
    {"convnetjs_cifar10", "", 1},
    {"deep_belief", "--set filters=8", 0.02f},
    {"deep_belief", "--set stage=2 --set filters=8", 0.02f},
    {"densenet121"},
    {"efficientnet", "--set size=32 --set classes=5", 0.001f},
    {"efficientnet", "--set form=Lite0 --set size=32 --set classes=5", 0.001f},
    {"enet", "--set size=64", 0.0005f},
    {"face_finder", "", 0.05f},
    {"googlenet", "--set size=96 --set classes=5"},
    {"graph_classifier", "", 0.05f},
    {"graph_classifier", "--set vertices=true", 0.05f},
    {"highway", "", 0.05f},
    {"image_filters", "--set classify=true"},
    {"inception_v2", "--set size=64 --set classes=5"},
    {"inception_v3", "--set size=79 --set classes=5", 0.001f},
    {"inception_v4", "--set size=79 --set classes=5", 0.001f},
    {"kim_sentences", "--set vocabulary=100 --set width=16 --set words=12", 0.05f},
    {"lenet5", "", 0.001f},
    {"lenet_family", "--set convolutions=3 --set dense=1", 0.05f},
    {"nin", "--set size=67 --set classes=5"},
    {"openpose", "--set stages=2 --set size=32", 0.001f},
    {"overfeat", "--set boxes=true --set size=75 --set classes=5", 0.002f},
    {"resnet", "--set depth=18 --set size=32 --set classes=5", 0.02f},
    {"resnet", "--set depth=50 --set size=32 --set classes=5", 0.02f},
    {"resnet", "--set depth=34 --set plain=true --set size=32 --set classes=5", 0.02f},
    {"speech_commands", "--set frames=20 --set bands=12", 0.02f},
    {"speech_commands", "--set spectrogram=true --set frames=20 --set bands=12", 0.02f},
    {"squeezenet1_0", "--set size=64 --set classes=5", 0.05f},
    {"vgg", "--set form=A-LRN --set size=32 --set classes=5", 0.002f},
    {"vgg", "--set form=C --set size=32 --set classes=5", 0.002f},
    {"zfnet", "--set size=64 --set classes=5", 0.003f},
};

// The network as its model file prints it.
Network network_of(const Example& example) {
    const std::string command =
        fmt::format("'{}' show '{}{}.cpp' {}", binary_path("bin/emulsion"),
                    source_path("examples/networks/"), example.file, example.settings);
    std::string text;
    FILE* pipe = popen(command.c_str(), "r");
    char block[1 << 12];
    for (size_t count; (count = fread(block, 1, sizeof(block), pipe)) > 0;)
        text.append(block, count);
    EXPECT_EQ(pclose(pipe), 0) << command;
    return parse_network(text, std::string(example.file) + ".emu");
}

// Inputs that are not any number: a distribution has all of its weight on one value, a face is
// there or not.
void make_possible(const Ports& ports, const emulsion_info& info, int samples) {
    for (int i = 0; i < info.input_count; i++) {
        const emulsion_port& port = info.inputs[i];
        const auto count = static_cast<size_t>(port.bytes / sizeof(float));
        float* values = ports.input(i);
        for (size_t sample = 0; sample < static_cast<size_t>(samples); sample++) {
            float* row = values + sample * count;
            if (std::string_view(port.name) == "face") *row = *row > 0 ? 1.0f : 0.0f;
            if (port.distribution == 0) continue;
            std::fill_n(row, count, 0.0f);
            row[sample % count] = 1;
        }
    }
}

void train(const Example& example) {
    constexpr int kSamples = 4, kSteps = 12;
    LibraryOptions options;
    options.batch = kSamples;
    options.infer_batches = {kSamples};
    const BuiltLibraries built(network_of(example), options);
    Trainer trainer(built.train());
    std::vector<float> losses;
    for (int step = 0; step < kSteps; step++) {
        trainer.ports.fill(1, trainer.classes);
        make_possible(trainer.ports, trainer.info, kSamples);
        ASSERT_EQ(
            trainer.library.step(trainer.instance(), trainer.ports.call(kSamples), example.rate),
            EMULSION_OK)
            << trainer.library.error(trainer.instance());
        losses.push_back(trainer.loss());
        ASSERT_TRUE(std::isfinite(losses.back()));
    }
    // Dropout makes single steps better or worse.
    const float last = std::min({losses[kSteps - 3], losses[kSteps - 2], losses[kSteps - 1]});
    EXPECT_LT(last, losses.front());
    Runner runner(built.infer(), trainer);
    runner.ports.fill(1, trainer.classes);
    runner.run(kSamples);
    for (int i = 0; i < runner.info.output_count; i++) {
        const emulsion_port& port = runner.info.outputs[i];
        if (port.type != EMULSION_F32) continue;
        for (int sample = 0; sample < kSamples; sample++) {
            for (const float value : runner.ports.row(port.name, sample))
                ASSERT_TRUE(std::isfinite(value)) << port.name;
        }
    }
}

std::vector<Example> chosen_examples() {
    const bool takes_all = std::getenv("EMULSION_LONG_TESTS") != nullptr;
    std::vector<Example> chosen;
    for (const Example& example : kExamples) {
        if (takes_all || !example.is_long) chosen.push_back(example);
    }
    return chosen;
}

// "overfeat_boxes_true_size_75_classes_5"
std::string name_of(const testing::TestParamInfo<Example>& info) {
    std::string name = info.param.file;
    std::istringstream words(info.param.settings);
    for (std::string word; words >> word;) {
        if (word == "--set") continue;
        std::replace_if(word.begin(), word.end(), [](char c) { return c == '=' || c == '-'; }, '_');
        name += "_" + word;
    }
    return name;
}

class ExampleNetworks : public testing::TestWithParam<Example> {};
TEST_P(ExampleNetworks, LossFallsAndInferenceIsFinite) { train(GetParam()); }
INSTANTIATE_TEST_SUITE_P(All, ExampleNetworks, testing::ValuesIn(chosen_examples()), name_of);

}  // namespace
}  // namespace emulsion::test

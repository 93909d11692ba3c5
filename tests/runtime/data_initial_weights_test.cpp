// Weights to begin with: what fits by name, what does not, and the names of torchvision.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <sstream>

#include "runtime/data/checksum.h"
#include "runtime/data/foreign_names.h"
#include "runtime/data/initial_weights.h"
#include "runtime/data/layout.h"
#include "runtime/data/weights.h"
#include "tests/runtime/data_support.h"

namespace emulsion {
namespace {

using testing::encode_safetensors;
using testing::message_of;
using testing::SmallNetwork;
using testing::TensorValues;

using Shapes = std::map<std::string, std::vector<int64_t>>;

InitialWeights load(SmallNetwork& network, const Bytes& file) {
    return load_initial_weights(ByteSource(file, "w", "weights file"), network.info, network.memory,
                                network.inference);
}

std::vector<float> count_up(size_t count) {
    std::vector<float> values(count);
    for (size_t i = 0; i < count; i++) values[i] = static_cast<float>(i);
    return values;
}

std::vector<std::string> names_of(const std::vector<NamedShape>& tensors) {
    std::vector<std::string> names;
    for (const NamedShape& each : tensors) names.push_back(each.name);
    return names;
}

// The whole file of the same network is taken as load_weights takes it.
TEST(InitialWeights, AWholeFile) {
    const TestFolder folder;
    SmallNetwork from, to, expected;
    from.fill(1), to.fill_equal(7), expected.fill_equal(7);
    save_weights(folder / "w", from.info, from.memory, from.inference, {});
    const InitialWeights report = load_initial_weights(ByteSource(folder / "w", "weights file"),
                                                       to.info, to.memory, to.inference);
    load_weights(folder / "w", expected.info, expected.memory, expected.inference);
    EXPECT_EQ(to.values(), expected.values());
    EXPECT_EQ(report.origin, "");
    EXPECT_EQ(report.matched,
              (std::vector<std::string>{"conv1.w", "conv1.b", "fc.w", "fc.b", "bn1.mean"}));
    EXPECT_TRUE(report.differing.empty() && report.missing.empty() && report.left_over.empty());
}

// Another head, another network, no checksum: what fits is taken, the rest stays as it is and is
// told.
TEST(InitialWeights, WhatFitsIsTakenAndTheRestIsTold) {
    SmallNetwork network, before;
    network.fill(1), before.fill(1);
    const auto conv = count_up(20 * 3 * 2 * 5);
    const InitialWeights report =
        load(network, encode_safetensors({}, {{"conv1.w", {20, 3, 2, 5}, conv},
                                              {"fc.w", {2, 3}, count_up(6)},
                                              {"other", {2}, {1, 2}}}));
    EXPECT_EQ(report.matched, std::vector<std::string>{"conv1.w"});
    ASSERT_EQ(report.differing.size(), 1u);
    EXPECT_EQ(report.differing[0].own.name, "fc.w");
    EXPECT_EQ(report.differing[0].theirs.shape, (std::vector<int64_t>{2, 3}));
    EXPECT_EQ(report.differing[0].type, "F32");
    EXPECT_EQ(names_of(report.missing), (std::vector<std::string>{"conv1.b", "fc.b", "bn1.mean"}));
    EXPECT_EQ(names_of(report.left_over), std::vector<std::string>{"other"});
    SmallNetwork expected;
    expected.fill(1);
    const emulsion_tensor& tensor = expected.tensors[0];
    pack(tensor, conv.data(), tensor_memory(tensor, expected.memory));
    EXPECT_EQ(network.values(), expected.values());
    EXPECT_NE(network.values(), before.values());
}

// Refused, with the memory as it was.
TEST(InitialWeights, WhatIsRefused) {
    const auto conv = count_up(20 * 3 * 2 * 5);
    auto bad = conv;
    bad[17] = NAN;
    const Bytes damaged =
        encode_safetensors({{"xxh64", "0123456789abcdef"}}, {{"conv1.w", {20, 3, 2, 5}, conv}});
    Checksum checksum;
    checksum.add({reinterpret_cast<const uint8_t*>(conv.data()), conv.size() * sizeof(float)});
    struct Case {
        Bytes file;
        std::string message;
    };
    for (const auto& [file, message] :
         {Case{encode_safetensors({}, {{"layer", {2}, {1, 2}}}),
               "w: none of its 1 tensors fits the network 'small' by name, shape and type; its "
               "first is 'layer' [2], that of the network 'conv1.w' [20, 3, 2, 5]\n  fix: give "
               "weights whose layers have the same names, or those of torchvision for a network "
               "built as in examples/networks"},
          Case{encode_safetensors({}, {{"conv1.w", {20, 3, 2, 5}, bad}}),
               "w: tensor 'conv1.w' holds NaN at index 17\n  fix: give weights of an earlier "
               "step"},
          Case{damaged, "w: the data are damaged: their checksum is " +
                            checksum_text(checksum.value()) +
                            ", but '0123456789abcdef' was written with them\n  fix: replace the "
                            "file"},
          Case{testing::bytes_of("no weights"),
               "w: the header is said to have 7523097587056930670 bytes; the file has 2 after the "
               "length, and the limit is 16777216\n  fix: replace the file: it is cut, damaged or "
               "no safetensors file"}}) {
        SmallNetwork network;
        network.fill(1);
        const std::vector<float> before = network.values();
        EXPECT_EQ(message_of([&, &file = file] { load(network, file); }), message);
        EXPECT_EQ(network.values(), before);
    }
}

TEST(ForeignNames, ListsOfNames) {
    using Names = std::vector<std::string>;
    EXPECT_EQ(expand_names(""), Names{});
    EXPECT_EQ(expand_names("a b.c"), (Names{"a", "b.c"}));
    EXPECT_EQ(expand_names("l{1,2}.{a,b} x{9..11}y"),
              (Names{"l1.a", "l1.b", "l2.a", "l2.b", "x9y", "x10y", "x11y"}));
    const ForeignNames names({"", "features.{0,3}", "", "bn{1..2}", "fc"});
    EXPECT_EQ(names.name_of("conv2.w"), "features.3.weight");
    EXPECT_EQ(names.name_of("conv1.b"), "features.0.bias");
    EXPECT_EQ(names.name_of("batch_norm2.gamma"), "bn2.weight");
    EXPECT_EQ(names.name_of("batch_norm1.running_variance"), "bn1.running_var");
    for (const char* name : {"conv3.w", "conv0.w", "conv.w", "conv1", "conv1.x", "stem1.w",
                             "depthwise_conv1.w", "conv99999999999999999999.w", "7.w", ".w", ""})
        EXPECT_EQ(names.name_of(name), std::nullopt) << name;
}

// What torchvision's models call their tensors, written down as their constructors build them.
class Torchvision {
  public:
    Shapes shapes;

    void conv(const std::string& name, int64_t out, int64_t in, int64_t kernel, bool has_bias) {
        shapes[name + ".weight"] = {out, in, kernel, kernel};
        if (has_bias) shapes[name + ".bias"] = {out};
    }
    void norm(const std::string& name, int64_t channels) {
        for (const char* part : {".weight", ".bias", ".running_mean", ".running_var"})
            shapes[name + part] = {channels};
        shapes[name + ".num_batches_tracked"] = {};
    }
    void linear(const std::string& name, int64_t out, int64_t in) {
        shapes[name + ".weight"] = {out, in};
        shapes[name + ".bias"] = {out};
    }

    void resnet(const std::vector<int>& blocks, bool has_bottlenecks) {
        conv("conv1", 64, 3, 7, false), norm("bn1", 64);
        const int64_t expansion = has_bottlenecks ? 4 : 1;
        int64_t in = 64, width = 64;
        for (int layer = 1; layer <= 4; layer++, width *= 2) {
            for (int i = 0; i < blocks[static_cast<size_t>(layer) - 1]; i++) {
                const std::string block =
                    "layer" + std::to_string(layer) + "." + std::to_string(i) + ".";
                const int64_t out = expansion * width;
                if (has_bottlenecks) {
                    conv(block + "conv1", width, in, 1, false);
                    conv(block + "conv2", width, width, 3, false);
                    conv(block + "conv3", out, width, 1, false);
                    norm(block + "bn1", width), norm(block + "bn2", width);
                    norm(block + "bn3", out);
                } else {
                    conv(block + "conv1", width, in, 3, false);
                    conv(block + "conv2", width, width, 3, false);
                    norm(block + "bn1", width), norm(block + "bn2", width);
                }
                if (i == 0 && (layer > 1 || has_bottlenecks)) {
                    conv(block + "downsample.0", out, in, 1, false);
                    norm(block + "downsample.1", out);
                }
                in = out;
            }
        }
        linear("fc", 1000, in);
    }
    void vgg16() {
        int64_t in = 3, index = 0;
        for (int64_t width :
             {64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0}) {
            if (width > 0) {
                conv("features." + std::to_string(index), width, in, 3, true);
                in = width;
                index++;  // of the activation
            }
            index++;
        }
        linear("classifier.0", 4096, 512 * 7 * 7);
        linear("classifier.3", 4096, 4096);
        linear("classifier.6", 1000, 4096);
    }
    void squeezenet1_1() {
        conv("features.0", 64, 3, 3, true);
        int64_t in = 64, index = 3;
        for (int64_t squeeze : {16, 16, 0, 32, 32, 0, 48, 48, 64, 64}) {
            const std::string fire = "features." + std::to_string(index++) + ".";
            if (squeeze == 0) continue;  // a pooling
            conv(fire + "squeeze", squeeze, in, 1, true);
            conv(fire + "expand1x1", 4 * squeeze, squeeze, 1, true);
            conv(fire + "expand3x3", 4 * squeeze, squeeze, 3, true);
            in = 8 * squeeze;
        }
        conv("classifier.1", 1000, in, 1, true);
    }
    void mobilenet_v2() {
        conv("features.0.0", 32, 3, 3, false), norm("features.0.1", 32);
        int64_t in = 32, index = 1;
        struct Stage {
            int expand, out, count;
        };
        for (const auto& [expand, out, count] : {Stage{1, 16, 1},
                                                 {6, 24, 2},
                                                 {6, 32, 3},
                                                 {6, 64, 4},
                                                 {6, 96, 3},
                                                 {6, 160, 3},
                                                 {6, 320, 1}}) {
            for (int i = 0; i < count; i++) {
                const std::string block = "features." + std::to_string(index++) + ".conv.";
                const int64_t hidden = expand * in;
                int part = 0;
                const auto next = [&] { return block + std::to_string(part++); };
                if (expand != 1) {
                    const std::string name = next();
                    conv(name + ".0", hidden, in, 1, false), norm(name + ".1", hidden);
                }
                const std::string name = next();
                conv(name + ".0", hidden, 1, 3, false), norm(name + ".1", hidden);
                conv(next(), out, hidden, 1, false);
                norm(next(), out);
                in = out;
            }
        }
        conv("features.18.0", 1280, in, 1, false), norm("features.18.1", 1280);
        linear("classifier.1", 1000, 1280);
    }
    void densenet121() {
        conv("features.conv0", 64, 3, 7, false), norm("features.norm0", 64);
        int64_t channels = 64;
        const std::vector<int> layers{6, 12, 24, 16};
        for (size_t b = 0; b < layers.size(); b++) {
            const std::string number = std::to_string(b + 1);
            for (int i = 0; i < layers[b]; i++, channels += 32) {
                const std::string layer =
                    "features.denseblock" + number + ".denselayer" + std::to_string(i + 1) + ".";
                norm(layer + "norm1", channels), conv(layer + "conv1", 128, channels, 1, false);
                norm(layer + "norm2", 128), conv(layer + "conv2", 32, 128, 3, false);
            }
            if (b + 1 == layers.size()) break;
            norm("features.transition" + number + ".norm", channels);
            conv("features.transition" + number + ".conv", channels / 2, channels, 1, false);
            channels /= 2;
        }
        norm("features.norm5", channels);
        linear("classifier", 1000, channels);
    }
};

// Parameters and statistics of a network of examples/networks, from its graph in tests/golden.
Shapes shapes_of_example(const std::string& network) {
    std::istringstream text(testing::text_of(read_file(
        testing::file_path("../../golden/" + network + ".graph.txt"), 16 << 20, "graph")));
    Shapes shapes;
    for (std::string line; std::getline(text, line);) {
        const size_t end = line.find(" = ");
        const bool is_stored =
            line.find("= parameter(") != line.npos ||
            (line.find("= state(") != line.npos && line.find("optimizer=false") != line.npos);
        const size_t type = line.rfind(" : f32[");
        if (!is_stored || end == line.npos || type == line.npos) continue;
        const size_t name = line.find('%') + 1;
        std::istringstream numbers(line.substr(type + 7));
        std::vector<int64_t>& shape = shapes[line.substr(name, end - name)];
        for (int64_t length; numbers >> length; numbers.get()) shape.push_back(length);
    }
    return shapes;
}

// Each tensor of the example network has one of torchvision's, of the same shape, and all of those
// are used but the counts of batches.
TEST(ForeignNames, EveryTensorOfTheExampleNetworks) {
    for (const NameRules& rules : name_rules()) {
        const std::string origin = rules.origin, network = origin.substr(origin.find(' ') + 1);
        SCOPED_TRACE(network);
        Torchvision theirs;
        if (network == "resnet18") theirs.resnet({2, 2, 2, 2}, false);
        if (network == "resnet50") theirs.resnet({3, 4, 6, 3}, true);
        if (network == "vgg16") theirs.vgg16();
        if (network == "squeezenet1_1") theirs.squeezenet1_1();
        if (network == "mobilenet_v2") theirs.mobilenet_v2();
        if (network == "densenet121") theirs.densenet121();
        const ForeignNames names(rules);
        const Shapes own = shapes_of_example(network);
        EXPECT_GT(own.size(), 30u);
        for (const auto& [name, shape] : own) {
            const std::optional<std::string> foreign = names.name_of(name);
            ASSERT_TRUE(foreign) << name;
            const auto found = theirs.shapes.find(*foreign);
            ASSERT_NE(found, theirs.shapes.end()) << name << " " << *foreign;
            EXPECT_EQ(found->second, shape) << name << " " << *foreign;
            theirs.shapes.erase(found);
        }
        for (const auto& [name, shape] : theirs.shapes)
            EXPECT_TRUE(name.ends_with(".num_batches_tracked")) << name;
    }
}

}  // namespace
}  // namespace emulsion

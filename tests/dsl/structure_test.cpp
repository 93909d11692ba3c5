// Layers that move values: shapes, nodes, and the whole message of each mistake.
#include <gtest/gtest.h>

#include "tests/dsl/dsl_support.h"

namespace emulsion {
namespace {

std::vector<Shape> shapes_of(const std::vector<Tensor>& tensors) {
    std::vector<Shape> shapes;
    for (const Tensor& tensor : tensors) shapes.push_back(tensor.shape());
    return shapes;
}

// The only mistake of what `write` makes of a map of 4 x 6 x 5, without its operands.
template <class Write>
std::string mistake(const Write& write) {
    Model m("m");
    const Tensor x = m.input("image", {4, 6, 5});
    write(x);
    m.classify(dense(flatten(x), 2));
    const std::vector<std::string> all = mistakes_of(m);
    EXPECT_EQ(all.size(), 1u);
    if (all.empty()) return "";
    std::string text = all[0];
    const size_t notes = text.find("\n    operand"), fix = text.find("\n  fix");
    if (notes != std::string::npos) text.erase(notes, fix - notes);
    return text;
}

// Hands out y and returns the text of this node.
std::string text_of(Model& m, const Tensor& y, const std::string& node) {
    m.output("y", y);
    m.loss(dense(flatten(y), 1));
    return node_text(finished(m), node);
}

TEST(Structure, PadAndCrop) {
    Model m("m");
    Tensor x = m.input("image", {4, 6, 5});
    EXPECT_EQ(pad(x, 1).shape(), (Shape{4, 8, 7}));
    EXPECT_EQ(pad(x, {1, 0, 2, 3}, {.border = Border::symmetric()}).shape(), (Shape{4, 7, 10}));
    EXPECT_EQ(crop(x, {1, 2, 0, 3}).shape(), (Shape{4, 3, 2}));
    EXPECT_EQ(text_of(m, pad(x, {1, 2}, {.border = Border::constant(-1), .name = "p"}), "p"),
              "%p = pad(%image) {before=[0,1,2], after=[0,1,2], border=\"constant\", value=-1} : "
              "f32[n,4,8,9]");
}

TEST(Structure, PixelShuffle) {
    Model m("m");
    Tensor x = m.input("image", {8, 3, 5});
    EXPECT_EQ(pixel_shuffle(x, 2).shape(), (Shape{2, 6, 10}));
    EXPECT_EQ(pixel_unshuffle(pixel_shuffle(x, 2), 2).shape(), (Shape{8, 3, 5}));
    EXPECT_EQ(pixel_unshuffle(x, 1).shape(), (Shape{8, 3, 5}));
    EXPECT_EQ(pixel_shuffle(m.input("line", {6, 5}), 3).shape(), (Shape{2, 15}));
    EXPECT_EQ(pixel_unshuffle(m.input("volume", {1, 2, 4, 6}), 2).shape(), (Shape{8, 1, 2, 3}));
    EXPECT_EQ(mistake([](Tensor t) { pixel_shuffle(t, 3); }),
              "error[channels]: depth_to_space 'pixel_shuffle1': the block 3x3 does not divide the "
              "4 channels of f32[n,4,6,5]\n"
              "  fix: choose a block whose number of cells divides the channels");
    EXPECT_EQ(mistake([](Tensor t) { pixel_unshuffle(t, 2); }),
              "error[shape]: space_to_depth 'pixel_unshuffle1': the block 2x2 does not divide the "
              "width 5 of f32[n,4,6,5]\n"
              "  fix: choose a block that divides the map, or pad or crop the map");
    EXPECT_EQ(mistake([](Tensor t) { pixel_shuffle(t, 0); }),
              "error[attribute]: pixel_shuffle 'pixel_shuffle1': the factor is 0, but must be 1 or "
              "more\n"
              "  fix: choose a whole number from 1 on");
}

TEST(Structure, SliceAsNumPyDoes) {
    Model m("m");
    Tensor x = m.input("image", {4, 6, 5});
    EXPECT_EQ(slice(x, {.begin = 1, .end = 3}).shape(), (Shape{2, 6, 5}));
    EXPECT_EQ(slice(x, {.axis = 1, .step = 4}).shape(), (Shape{4, 2, 5}));
    EXPECT_EQ(slice(x, {.axis = 2, .begin = -3, .end = -1}).shape(), (Shape{4, 6, 2}));
    EXPECT_EQ(slice(flatten(x), {.begin = 100}).shape(), (Shape{20}));
    EXPECT_EQ(text_of(m, slice(x, {.axis = 1, .begin = 1, .step = 2, .name = "s"}), "s"),
              "%s = crop(%image) {begin=[0,1,0], count=[4,3,5], step=[1,2,1]} : f32[n,4,3,5]");
}

// Channels are cut out without a copy.
TEST(Structure, Split) {
    Model m("m");
    Tensor x = m.input("image", {4, 6, 5});
    EXPECT_EQ(shapes_of(split(x, 2)), (std::vector<Shape>{{2, 6, 5}, {2, 6, 5}}));
    EXPECT_EQ(shapes_of(split(x, {1, 4}, {.axis = 2})), (std::vector<Shape>{{4, 6, 1}, {4, 6, 4}}));
    const std::vector<Tensor> parts = split(x, {1, 3}, {.name = "s"});
    EXPECT_EQ(text_of(m, parts[1], "s.1"),
              "%s.1 = slice(%image) {begin=1, count=3} : f32[n,3,6,5]");
}

TEST(Structure, Concatenate) {
    Model m("m");
    Tensor x = m.input("image", {4, 6, 5});
    EXPECT_EQ(concatenate({x, crop(x, {1, 0})}, {.axis = 1}).shape(), (Shape{4, 10, 5}));
    EXPECT_EQ(concatenate({x, x, x}, {.axis = 2}).shape(), (Shape{4, 6, 15}));
    EXPECT_EQ(text_of(m, concatenate({x, relu(x)}, {.name = "c"}), "c"),
              "%c = concatenate(%image, %relu1) : f32[n,8,6,5]");
}

TEST(Structure, OrderOfAxesAndChannels) {
    Model m("m");
    Tensor x = m.input("image", {4, 6, 5});
    EXPECT_EQ(transpose(x, {2, 0, 1}).shape(), (Shape{5, 4, 6}));
    EXPECT_EQ(flip(x, {2, 1}).shape(), (Shape{4, 6, 5}));
    EXPECT_EQ(channel_shuffle(x, 2).shape(), (Shape{4, 6, 5}));
}

TEST(Structure, Reshape) {
    Model m("m");
    Tensor x = m.input("image", {4, 6, 5});
    EXPECT_EQ(reshape(x, {-1}).shape(), (Shape{120}));
    EXPECT_EQ(reshape(x, {4, -1}).shape(), (Shape{4, 30}));
    EXPECT_EQ(reshape(x, {2, 3, 5, 4}).shape(), (Shape{2, 3, 5, 4}));
    EXPECT_EQ(reshape(reshape(x, {8, 15}), {4, 6, 5}).shape(), (Shape{4, 6, 5}));
    EXPECT_EQ(text_of(m, reshape(x, {4, 2, 15}, {.name = "r"}), "r"),
              "%r = view(%image) {shape=[4,2,15]} : f32[n,4,2,15]");
}

TEST(Structure, Upsample) {
    Model m("m");
    Tensor x = m.input("image", {4, 6, 5});
    EXPECT_EQ(upsample(x).shape(), (Shape{4, 12, 10}));
    EXPECT_EQ(upsample(x, {.factor = {1, 3}}).shape(), (Shape{4, 6, 15}));
    EXPECT_EQ(upsample(x, {.size = {3, 11}}).shape(), (Shape{4, 3, 11}));
    EXPECT_EQ(text_of(m, upsample(x, {.mode = Interpolation::bilinear, .name = "u"}), "u"),
              "%u = resize(%image) {size=[12,10], mode=\"bilinear\"} : f32[n,4,12,10]");
}

TEST(Structure, TransposedConvolution) {
    Model m("m");
    Tensor x = m.input("image", {4, 6, 5});
    EXPECT_EQ(conv_transpose(x, 3, {.stride = 2}).shape(), (Shape{3, 13, 11}));
    EXPECT_EQ(conv_transpose(x, 3, {.stride = 2, .padding = same}).shape(), (Shape{3, 12, 10}));
    EXPECT_EQ(conv_transpose(x, 3, {.kernel = 2, .stride = 3, .padding = same}).shape(),
              (Shape{3, 18, 15}));
    EXPECT_EQ(conv_transpose(x, 3, {.stride = 2, .padding = 1, .output_padding = 1}).shape(),
              (Shape{3, 12, 10}));
    EXPECT_EQ(conv_transpose(x, 8, {.kernel = {2, 4}, .dilation = 2, .groups = 2}).shape(),
              (Shape{8, 8, 11}));
    Tensor y = conv_transpose(x, 3, {.stride = 2, .padding = same, .name = "t"});
    EXPECT_NE(text_of(m, y, "t.w").find("init=\"he\", scale=0, fan_in=16, fan_out=27"),
              std::string::npos);
    EXPECT_EQ(node_text(finished(m), "t"),
              "%t = conv2d_backward_data(%image, %t.w) {stride=[2,2], dilation=[1,1], "
              "padding=[0,1,0,1], input=[12,10], rotated=false} : f32[n,3,12,10]");
}

TEST(Structure, BorderOfAWindow) {
    Model m("m");
    Tensor x = m.input("image", {4, 6, 5});
    m.output("own", conv(x, 2, {.padding = 1, .border = Border::zeros(), .name = "own"}));
    Tensor y = conv(x, 2, {.padding = same, .border = Border::reflect(), .name = "c"});
    EXPECT_EQ(y.shape(), (Shape{2, 6, 5}));
    y = max_pool(y, {.window = 3, .stride = 1, .padding = 1, .border = Border::zeros()});
    EXPECT_EQ(y.shape(), (Shape{2, 6, 5}));
    y = depthwise_conv(y, {.padding = 1, .border = Border::replicate()});
    EXPECT_EQ(text_of(m, y, "c.padded"),
              "%c.padded = pad(%image) {before=[0,1,1], after=[0,1,1], border=\"reflect\", "
              "value=0} : f32[n,4,8,7]");
    const Network network = finished(m);
    EXPECT_NE(node_text(network, "c").find("padding=[0,0,0,0]"), std::string::npos);
    EXPECT_GE(network.graph.find("max_pool1.padded"), 0);
    EXPECT_GE(network.graph.find("depthwise_conv1.padded"), 0);
    EXPECT_NE(node_text(network, "own").find("padding=[1,1,1,1]"), std::string::npos);
}

TEST(Structure, LayersMadeOfOthers) {
    Model m("m");
    Tensor x = m.input("image", {4, 6, 5});
    EXPECT_EQ(global_max_pool(x).shape(), (Shape{4}));
    EXPECT_EQ(global_max_pool(m.input("large", {2, 600, 3})).shape(), (Shape{2}));
    EXPECT_EQ(subsample(x, {.window = {2, 3}}).shape(), (Shape{4, 3, 1}));
    EXPECT_EQ(conv(x, 3, {.flip = true}).shape(), (Shape{3, 4, 3}));
}

TEST(Structure, Unpooling) {
    Model m("m");
    Tensor x = m.input("image", {4, 6, 5});
    const IndexedPool pooled = max_pool_with_indices(x, {.name = "p"});
    EXPECT_EQ(pooled.value.shape(), (Shape{4, 3, 2}));
    Tensor y = max_unpool(relu(pooled.value), pooled, {.name = "u"});
    EXPECT_EQ(text_of(m, y, "u"),
              "%u = max_pool_backward(%relu1, %p:1) {window=[2,2], stride=[2,2], "
              "padding=[0,0,0,0], ceil=false, input=[6,5]} : f32[n,4,6,5]");
    EXPECT_EQ(mistake([](Tensor t) { max_unpool(t, {t, t}); }),
              "error[operands]: max_unpool 'max_unpool1': the index is no result of "
              "max_pool_with_indices\n"
              "  fix: give it what that layer gave");
    EXPECT_EQ(mistake([](Tensor t) { max_unpool(t, max_pool_with_indices(t)); }),
              "error[shape]: max_unpool 'max_unpool1': the input is f32[n,4,6,5], but the pooled "
              "map f32[n,4,3,2]\n"
              "  fix: bring it to the shape of the pooled map first");
}

TEST(StructureErrors, Sizes) {
    EXPECT_EQ(mistake([](Tensor x) { pad(x, 6, {.border = Border::reflect()}); }),
              "error[padding]: pad 'pad1': the border 'reflect' is 6 cells wide along the height, "
              "but the input has 6: 5 of them can be mirrored\n"
              "  fix: pad at most 5 per side, or use the border replicate");
    EXPECT_EQ(mistake([](Tensor x) { pad(x, same); }),
              "error[attribute]: pad 'pad1': the cells are `same`, which is said of a window's "
              "padding alone\n"
              "  fix: give the cells of each side");
    EXPECT_EQ(mistake([](Tensor x) { crop(x, {0, -1}); }),
              "error[attribute]: crop 'crop1': the cells are 0 above, 0 below, -1 left and -1 "
              "right, but must be 0 or more\n"
              "  fix: give 0 where a side stays as it is");
    EXPECT_EQ(mistake([](Tensor x) { crop(x, 3); }),
              "error[shape]: crop 'crop1': nothing is left of the 6x5 map without 6 rows and 6 "
              "columns\n"
              "  fix: cut off less");
    EXPECT_EQ(mistake([](Tensor x) { upsample(x, {.factor = {2, 0}}); }),
              "error[attribute]: upsample 'upsample1': the factor is 2x0, but must be 1x1 or more\n"
              "  fix: choose whole numbers from 1 on");
}

TEST(StructureErrors, StrictWindows) {
    EXPECT_EQ(mistake([](Tensor x) { conv(x, 2, {.stride = 2, .strict = true}); }),
              "error[window]: conv 'conv1': (6 - 3 + 0) / 2 + 1 = 2.50 positions along the height "
              "is no whole number (input, window, padding, stride)\n"
              "  fix: pad 1 more, crop 1, choose a stride that divides 3, or leave strict out");
    EXPECT_EQ(mistake([](Tensor x) { average_pool(x, {.window = 2, .strict = true}); }),
              "error[window]: average_pool 'average_pool1': (5 - 2 + 0) / 2 + 1 = 2.50 positions "
              "along the width is no whole number (input, window, padding, stride)\n"
              "  fix: pad 1 more, crop 1, choose a stride that divides 3, or leave strict out");
    Model m("m");
    Tensor x = m.input("image", {1, 7, 7});
    EXPECT_EQ(conv(x, 1, {.stride = 2, .strict = true}).shape(), (Shape{1, 3, 3}));
    EXPECT_EQ(conv(x, 1, {.stride = 3, .padding = 1, .strict = true}).shape(), (Shape{1, 3, 3}));
    EXPECT_EQ(conv(x, 1, {.stride = 3, .padding = same, .strict = true}).shape(), (Shape{1, 3, 3}));
}

TEST(StructureErrors, Parts) {
    EXPECT_EQ(mistake([](Tensor x) { slice(x, {.axis = 2, .begin = 4, .end = 6}); }),
              "error[shape]: slice 'slice1': cells 4 to 5 in steps of 1 are asked for, but axis 2 "
              "has 5\n"
              "  fix: choose begin < end within 0 to 5, and a step of 1 or more");
    EXPECT_EQ(mistake([](Tensor x) { slice(x, {.axis = 3}); }),
              "error[attribute]: slice 'slice1': the axis is 3, but f32[n,4,6,5] has axes 0 to 2 "
              "beside its samples\n"
              "  fix: choose one of them; 0 is the channels or the features");
    EXPECT_EQ(mistake([](Tensor x) { split(x, 4, {.axis = 1}); }),
              "error[shape]: split 'split1': 6 cells along axis 1 cannot be cut into 4 equal "
              "parts\n"
              "  fix: choose a number that divides the cells, or name the cells of each part");
    EXPECT_EQ(mistake([](Tensor x) { EXPECT_EQ(split(x, {1, 2}).size(), 2u); }),
              "error[shape]: split 'split1': parts of [1,2] cells do not make up the 4 along axis "
              "0\n"
              "  fix: name parts of at least one cell whose sum is the extent");
}

TEST(StructureErrors, TransposedConvolution) {
    EXPECT_EQ(mistake([](Tensor x) { conv_transpose(x, 2, {.stride = 2, .output_padding = 2}); }),
              "error[attribute]: conv_transpose 'conv_transpose1': the output padding is 2x2, but "
              "the stride is 2x2: it must be 0 or more, and less than the stride\n"
              "  fix: choose 0 to 1 and 0 to 1");
    EXPECT_EQ(mistake([](Tensor x) {
                  conv_transpose(x, 2, {.stride = 2, .padding = same, .output_padding = 1});
              }),
              "error[attribute]: conv_transpose 'conv_transpose1': the output padding is 1x1, but "
              "with the padding same the size is that of the input times the stride\n"
              "  fix: leave one of the two out");
    EXPECT_EQ(mistake([](Tensor x) { conv_transpose(x, 2, {.padding = 4}); }),
              "error[padding]: conv_transpose 'conv_transpose1': the padding cuts 8x8 cells off a "
              "result of 8x7\n"
              "  fix: use less padding, or a larger kernel or stride");
    EXPECT_EQ(mistake([](Tensor x) { conv_transpose(x, 3, {.groups = 2}); }),
              "error[groups]: conv_transpose 'conv_transpose1': 4 channels and 3 filters cannot "
              "be cut into 2 equal groups\n"
              "  fix: choose a number of groups that divides both");
}

}  // namespace
}  // namespace emulsion

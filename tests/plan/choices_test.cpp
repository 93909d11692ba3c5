// Choices above the kernels: a source of records that says what a test tells it.
#include "compiler/recipe/choices.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "compiler/graph/text.h"
#include "compiler/passes/choose_winograd.h"
#include "compiler/pipeline.h"
#include "compiler/plan/plan.h"
#include "schedules/library.h"
#include "tests/plan/plan_support.h"
#include "tests/support/golden.h"
#include "tests/support/sanitized.h"

namespace emulsion::test {
namespace {

// Words by instruction set and signature.
class ToldChoices : public ChoiceSource {
  public:
    void say(const std::string& isa, const std::string& node, const std::string& word) {
        words_[isa + " " + node] = word;
    }
    std::optional<RecordedChoice> find(const std::string& node, Decision decision, const Isa& isa,
                                       int threads) const override {
        const auto found = words_.find(isa.name + " " + node);
        if (found == words_.end() || threads != 8) return std::nullopt;
        if (decision_of(found->second) != decision) return std::nullopt;
        return RecordedChoice{found->second, isa.name + ".records:3"};
    }

  private:
    std::map<std::string, std::string> words_;
};

const RecipeLibrary& recipes() {
    static const RecipeLibrary library = make_library();
    return library;
}

Plan plan_with(const Network& network, const ChoiceSource* choices, bool training,
               const std::string& target = "avx512") {
    BuildOptions options;
    options.batch = 16;
    options.target = target;
    options.choices = choices;
    return plan_of(network, recipes(), options, training);
}

const NodeChoice* find(const Plan& plan, const NodeChoice& wanted) {
    for (const NodeChoice& choice : plan.choices) {
        if (choice.node == wanted.node && choice.decision == wanted.decision) return &choice;
    }
    return nullptr;
}

// make_plan proves each of these plans against its graph.
void expect_each_other_makes_a_plan(const std::string& name, bool training) {
    const Network network = golden_network(name);
    const Plan own = plan_with(network, nullptr, training);
    EXPECT_EQ(print(own).find("  choice "), std::string::npos);
    std::map<Decision, int> seen;
    for (const NodeChoice& choice : own.choices) {
        EXPECT_TRUE(choice.record.empty());
        EXPECT_EQ(choice.node.substr(0, 6), "batch=");
        for (const std::string& other : choice.others) {
            SCOPED_TRACE(choice.name + " " + other + " " + choice.node);
            ToldChoices told;
            told.say("avx512", choice.node, other);
            const Plan plan = plan_with(network, &told, training);
            EXPECT_TRUE(plan.left_out.empty()) << plan.left_out[0];
            const NodeChoice* made = find(plan, choice);
            ASSERT_NE(made, nullptr);
            EXPECT_EQ(made->word, other);
            EXPECT_EQ(made->record, "avx512.records:3");
            EXPECT_NE(print(plan).find("  choice " + made->name + " " + other +
                                       "  # by the record avx512.records:3\n"),
                      std::string::npos);
            EXPECT_NE(print(plan.variants[0].kernels[0].group.body), "");
            seen[choice.decision]++;
        }
    }
    EXPECT_GT(seen[Decision::method], 0);
    EXPECT_GT(seen[Decision::fusion], 0);
    if (training) {
        EXPECT_GT(seen[Decision::storage], 0);
    }
}

TEST(PlanChoices, EachOtherMakesAPlan) {
    if (!is_sanitized()) expect_each_other_makes_a_plan("resnet20", true);
    expect_each_other_makes_a_plan("lenet", false);
}

constexpr const char* kConvolutions = R"(graph net {
  %x = input() : f32[n,32,28,28]
  %w = parameter() : f32[32,32,3,3]
  %v = parameter() : f32[32,32,3,3]
  %y = conv2d(%x, %w) {stride=[2,2], padding=[1,1,1,1]} : f32[n,32,14,14]
  %z = conv2d(%y, %v) {padding=[1,1,1,1]} : f32[n,32,14,14]
  %r = relu(%z) : f32[n,32,14,14]
  output "r" %r
})";

class ChoicesOf : public testing::Test {
  protected:
    ChoicesOf() : graph_(parse_graph(kConvolutions, "net.emu")) {}
    std::string node(const std::string& name) const {
        return node_signature(graph_, graph_.find(name), 16);
    }
    std::string methods(const ToldChoices& told, const TargetFamily& family) {
        Choices choices(&told, family, 8);
        const std::string text = print(choose_winograd(graph_, 16, &choices));
        left_out_ = choices.left_out();
        kept_ = choices.kept();
        return text.find("winograd_conv2d") == std::string::npos ? "direct"
               : text.find("tile=4") == std::string::npos        ? "winograd2"
                                                                 : "winograd4";
    }
    Graph graph_;
    std::vector<std::string> left_out_;
    std::vector<NodeChoice> kept_;
};

TEST_F(ChoicesOf, NodesAreNamedByWhatTheyReadAndWhoReadsThem) {
    EXPECT_EQ(node("z"),
              "batch=16 conv2d(f32[n,32,14,14], f32[32,32,3,3]) {stride=[1,1], "
              "dilation=[1,1], padding=[1,1,1,1]} : f32[n,32,14,14] from conv2d, parameter for "
              "relu");
    EXPECT_EQ(node("r"), "batch=16 relu(f32[n,32,14,14]) : f32[n,32,14,14] from conv2d");
}

// The first instruction set of a family that has a record decides for all.
TEST_F(ChoicesOf, AFamilyAreThoseOfItsFirstRecord) {
    const TargetFamily& family = *isa_avx2().family;
    ToldChoices told;
    EXPECT_EQ(methods(told, family), "winograd4");
    ASSERT_EQ(kept_.size(), 1u);
    EXPECT_EQ(kept_[0].name, "z");
    EXPECT_EQ(kept_[0].others, (std::vector<std::string>{"direct", "winograd2"}));
    told.say("avx2", node("z"), "winograd2");
    EXPECT_EQ(methods(told, family), "winograd2");
    EXPECT_EQ(kept_[0].record, "avx2.records:3");
    told.say("avx512", node("z"), "direct");
    EXPECT_EQ(methods(told, family), "direct");
    EXPECT_EQ(kept_[0].record, "avx512.records:3");
}

TEST_F(ChoicesOf, ARecordThatIsNotPossibleIsLeftOutByName) {
    ToldChoices told;
    told.say("avx512", node("y"), "winograd4");
    EXPECT_EQ(methods(told, *isa_avx512().family), "winograd4");  // of z, as without the record
    EXPECT_EQ(left_out_, (std::vector<std::string>{"the record avx512.records:3 is left out: 'y' "
                                                   "can direct, but not winograd4"}));
}

TEST(PlanChoices, OfGroupsThatAreNotPossibleAreLeftOutByName) {
    const Network network = golden_network("lenet");
    const Graph graph = inference_graph(network, false, 1);
    ToldChoices told;
    // A window that overlaps, behind what is no map: nothing that the dense layer could be part of.
    const std::string dense = node_signature(graph, graph.find("dense1"), 1);
    told.say("avx512", dense, "join");
    const Plan plan = plan_with(network, &told, /*training=*/false);
    ASSERT_EQ(plan.left_out.size(), 1u);
    EXPECT_EQ(plan.left_out[0],
              "the record avx512.records:3 is left out: 'dense1' can pass, but not join");
    EXPECT_NE(print(plan).find("  # " + plan.left_out[0]), std::string::npos);
}

// Calls of a plan in which the node is no kernel, and of one in which a record makes it one.
void expect_calls(const Graph& graph, const std::string& node, int in_place, int copied) {
    PlanOptions options;
    options.batches = {4};
    options.isas = {isa_avx512()};
    EXPECT_EQ(call_count(make_plan(graph, recipes(), options)), in_place);
    ToldChoices told;
    told.say("avx512", node_signature(graph, graph.find(node), 4), "pass");
    options.choices = &told;
    const Plan plan = make_plan(graph, recipes(), options);
    EXPECT_EQ(call_count(plan), copied);
    EXPECT_TRUE(plan.left_out.empty());
}

TEST(PlanChoices, OfAConcatenationAreACopyOrNone) {
    const Graph graph = parse_graph(R"(graph net {
  %x = input() : f32[n,32,28,28]
  %w = parameter() : f32[32,32,1,1]
  %v = parameter() : f32[32,32,1,1]
  %a = conv2d(%x, %w) : f32[n,32,28,28]
  %b = conv2d(%x, %v) : f32[n,32,28,28]
  %c = concatenate(%a, %b) : f32[n,64,28,28]
  %d = max_pool(%c) {window=[3,3], stride=[2,2]} : f32[n,64,13,13], u8[n,64,13,13]
  output "d" %d:0
})",
                                    "net.emu");
    expect_calls(graph, "c", 3, 4);
}

TEST(PlanChoices, OfASliceAreACopyOrNone) {
    const Graph graph = parse_graph(R"(graph net {
  %x = input() : f32[n,32,28,28]
  %a = tanh(%x) : f32[n,32,28,28]
  %b = slice(%a) {begin=8, count=16} : f32[n,16,28,28]
  %d = max_pool(%b) {window=[3,3], stride=[2,2]} : f32[n,16,13,13], u8[n,16,13,13]
  output "d" %d:0
})",
                                    "net.emu");
    expect_calls(graph, "b", 2, 3);
}

}  // namespace
}  // namespace emulsion::test

// The text of graphs: round trip of everything it can say, and the whole message for what it
// refuses.
#include "compiler/graph/text.h"

#include <gtest/gtest.h>

#include "compiler/ops/registry.h"
#include "compiler/ops/sources.h"

namespace emulsion::test {
namespace {

std::string error_of(const std::string& text) {
    try {
        parse_graph(text, "net.emu");
    } catch (const Error& error) {
        return error.what();
    }
    return "";
}

// The message for a graph whose second line is `line`.
std::string error_of_line(const std::string& line) {
    return error_of("graph net {\n  %x = input() : f32[n,3,4,4]\n  " + line + "\n}\n");
}

TEST(Text, EverythingRoundTrips) {
    const std::string text = R"(graph a-net_2 {
  %image = input() : f32[n,3,5,4]
  %label = input() : i32[n]
  %w = parameter() {init="glorot", scale=0.25, fan_in=27, fan_out=36, trained=false, decay=false} : f32[4,3,3,3]
  %odd.name-1 = state() {value=-1.5, optimizer=true} : f32[4]
  %rate = scalar() {name="learning_rate"} : f32[]
  %tiny = constant() {value=1e-30} : f32[]
  %third = constant() {value=0.3333333333333333} : f32[n,4]
  %conv = conv2d(%image, %w) {stride=[2,1], dilation=[1,1], padding=[0,1,2,3]} : f32[n,4,2,7]
  %pool = max_pool(%conv) {window=[2,2], stride=[1,1], padding=[0,0,0,0], ceil=true} : f32[n,4,1,6], u8[n,4,1,6]
  %flat = flatten(%pool:0) : f32[n,24]{4,1,6}
  output "with \"quotes\" and \\ and \n" %flat
  output "taps" %pool:1
  gradient %w <- %w
  update %odd.name-1 <- %odd.name-1
}
)";
    Graph graph = parse_graph(text, "net.emu");
    verify(graph);
    EXPECT_EQ(print(graph), text);
    EXPECT_TRUE(parse_graph(print(graph), "net.emu") == graph);
}

TEST(Text, LocationsAreComments) {
    Graph graph = parse_graph(
        "graph net {\n\n  %x = input() : f32[n,3]  # from elsewhere\n  output \"x\" %x\n}\n",
        "net.emu");
    EXPECT_EQ(graph.node(0).where, (SourceLocation{"net.emu", 3}));
    std::string text = print(graph, /*with_locations=*/true);
    EXPECT_EQ(text, "graph net {\n  %x = input() : f32[n,3]  # net.emu:3\n  output \"x\" %x\n}\n");
    EXPECT_TRUE(parse_graph(text, "net.emu") == graph);
}

TEST(Text, BlanksAndLineBreaksDoNotCount) {
    Graph graph = parse_graph(
        "graph net{%x=input():f32[n,3]%y=leaky_relu(%x){slope=0.5}:f32[n,3]output\"y\"%y}", "a");
    EXPECT_EQ(
        print(graph),
        "graph net {\n  %x = input() : f32[n,3]\n  %y = leaky_relu(%x) {slope=0.5} : f32[n,3]\n"
        "  output \"y\" %y\n}\n");
}

// What kinds got later on does not show where it changes nothing: texts and signatures stay.
TEST(Text, GroupsArePrintedWhereThereAreSome) {
    const std::string text = "{stride=[1,1], dilation=[1,1], padding=[0,0,0,0]";
    EXPECT_EQ(print_attributes(*op_from_text("conv2d", "{groups=1}")), text + "}");
    EXPECT_EQ(print_attributes(*op_from_text("conv2d", "{groups=3}")), text + ", groups=3}");
    EXPECT_EQ(print_attributes(*op_from_text("rotate_filter", "{groups=1}")), "");
}

// Every op prints attributes that it reads back.
TEST(Text, AttributesOfEveryOp) {
    for (std::string_view kind : op_kinds()) {
        std::string attributes = print_attributes(*make_op(kind));
        EXPECT_EQ(print_attributes(*op_from_text(kind, attributes)), attributes) << kind;
    }
    EXPECT_EQ(print_attributes(*op_from_text("scale", "{factor=0.1}")), "{factor=0.1}");
    EXPECT_EQ(print_attributes(*op_from_text("conv2d", "{ padding = [ 1 , 2,3,4 ] }")),
              "{stride=[1,1], dilation=[1,1], padding=[1,2,3,4]}");
}

TEST(Text, SyntaxErrors) {
    const std::string form = "\n  fix: see the text form in graph/text.h";
    EXPECT_EQ(error_of("grph net {}"),
              "net.emu:1: error[syntax]: expected 'graph', found 'grph net {}'" + form);
    EXPECT_EQ(error_of("graph {}"), "net.emu:1: error[syntax]: expected a name, found '{'" + form);
    EXPECT_EQ(error_of_line("%y relu(%x) : f32[n,3,4,4]"),
              "net.emu:3: error[syntax]: expected '=', found 'relu(%x) : f32[n,3,4'" + form);
    EXPECT_EQ(error_of_line("%y = relu %x : f32[n,3,4,4]"),
              "net.emu:3: error[syntax]: expected '(', found '%x : f32[n,3,4,4]'" + form);
    EXPECT_EQ(error_of_line("%y = relu(%x)"),
              "net.emu:4: error[syntax]: expected ':', found '}'" + form);
    EXPECT_EQ(error_of_line("outputs \"y\" %x"),
              "net.emu:3: error[syntax]: expected '\"', found 's \"y\" %x'" + form);
    EXPECT_EQ(error_of_line("result %x"),
              "net.emu:3: error[syntax]: expected 'update', found 'result %x'" + form);
    EXPECT_EQ(error_of("graph net {\n}\nmore"),
              "net.emu:3: error[syntax]: there is text after the graph\n  fix: remove it");
}

TEST(Text, ValuesOfAttributes) {
    EXPECT_EQ(error_of_line("%y = max_pool(%x) {ceil=maybe} : f32[n,3,2,2], u8[n,3,2,2]"),
              "net.emu:3: error[syntax]: attribute 'ceil' is 'maybe', expected true or false\n"
              "  fix: write true or false");
    EXPECT_EQ(error_of_line("%y = max_pool(%x) {window=[2,2.5]} : f32[n,3,2,2], u8[n,3,2,2]"),
              "net.emu:3: error[syntax]: '2.5' is not a whole number\n  fix: write a whole number "
              "such as 3");
    EXPECT_EQ(
        error_of_line(
            "%y = max_pool(%x) {window=[99999999999999999999,2]} : f32[n,3,2,2], u8[n,3,2,2]"),
        "net.emu:3: error[syntax]: '99999999999999999999' is not a whole number\n"
        "  fix: write a whole number such as 3");
    for (const char* value : {"one", "0x1p3", "nan", "inf", "1e999", "0.1.2", ""}) {
        EXPECT_EQ(
            error_of_line("%y = scale(%x) {factor=" + std::string(value) + "} : f32[n,3,4,4]"),
            "net.emu:3: error[syntax]: '" + std::string(value) +
                "' is not a number\n  fix: write a number such as 0.05");
    }
    EXPECT_EQ(error_of_line("%y = relu(%x) {slope=1} : f32[n,3,4,4]"),
              "net.emu:3: error[unknown_attribute]: op relu has no attribute 'slope'\n  fix: its "
              "attributes are none");
    EXPECT_EQ(error_of_line("%y = scale(%x) {factr=1} : f32[n,3,4,4]"),
              "net.emu:3: error[unknown_attribute]: op scale has no attribute 'factr'\n"
              "  fix: the closest is 'factor'; its attributes are {factor=1}");
}

TEST(Text, Types) {
    EXPECT_EQ(error_of_line("%y = relu(%x) : f64[n,3,4,4]"),
              "net.emu:3: error[syntax]: unknown element type 'f64'\n  fix: element types are f32, "
              "i32, u8");
    EXPECT_EQ(error_of_line("%y = input() : f32[n,0]"),
              "net.emu:3: error[syntax]: an extent of 0 is out of range\n  fix: extents are 1 to "
              "2147221504");
    EXPECT_EQ(error_of_line("%y = input() : f32[n,3000000000]"),
              "net.emu:3: error[syntax]: an extent of 3000000000 is out of range\n  fix: extents "
              "are 1 to 2147221504");
    EXPECT_EQ(error_of_line("%y = relu(%x) : f32[n,3,4,5]"),
              "net.emu:3: error[type]: 'y' is stated as f32[n,3,4,5], its op gives f32[n,3,4,4]\n"
              "  fix: write f32[n,3,4,4] after the colon");
    EXPECT_EQ(error_of_line("%y = max_pool(%x) : f32[n,3,2,2]"),
              "net.emu:3: error[type]: 'y' is stated as f32[n,3,2,2], its op gives f32[n,3,2,2], "
              "u8[n,3,2,2]\n"
              "  fix: write f32[n,3,2,2], u8[n,3,2,2] after the colon");
}

TEST(Text, NamesThatAreUnknownOrTaken) {
    EXPECT_EQ(error_of_line("%y = rela(%x) : f32[n,3,4,4]"),
              "net.emu:3: error[unknown_op]: 'y' uses the unknown op 'rela'\n  fix: the closest op "
              "is 'relu'");
    EXPECT_EQ(error_of_line("%y = relu(%z) : f32[n,3,4,4]"),
              "net.emu:3: error[unknown_value]: '%z' is used before it is defined\n"
              "  fix: define every value above its uses; a graph has no cycles");
    EXPECT_EQ(error_of_line("%y = relu(%x:1) : f32[n,3,4,4]"),
              "net.emu:3: error[unknown_value]: '%x' has 1 outputs, not an output 1\n  fix: use "
              "%x:0 to %x:0");
    EXPECT_EQ(error_of_line("%x = relu(%x) : f32[n,3,4,4]"),
              "net.emu:3: error[name]: the name 'x' is used twice\n    first used at net.emu:2\n"
              "  fix: give one of the two another name");
    EXPECT_EQ(error_of_line("output \"y\" %y"),
              "net.emu:3: error[unknown_value]: '%y' is used before it is defined\n"
              "  fix: define every value above its uses; a graph has no cycles");
}

TEST(Text, Cycles) {
    EXPECT_EQ(error_of("graph net {\n  %a = relu(%a) : f32[n,3]\n}"),
              "net.emu:2: error[unknown_value]: '%a' is used before it is defined\n"
              "  fix: define every value above its uses; a graph has no cycles");
    EXPECT_EQ(error_of("graph net {\n  %a = relu(%b) : f32[n,3]\n  %b = relu(%a) : f32[n,3]\n}"),
              "net.emu:2: error[unknown_value]: '%b' is used before it is defined\n"
              "  fix: define every value above its uses; a graph has no cycles");
}

TEST(Text, WrongOperandsNameThePlaceAndTheOperands) {
    EXPECT_EQ(error_of_line("%y = add(%x, %x) : f32[n,3,4,4]\n  %z = multiply(%y) : f32[n,3,4,4]")
                  .substr(0, 17),
              "net.emu:4: error[");
}

TEST(Text, Truncation) {
    const std::string mend = "\n  fix: the file is cut short: write it again";
    EXPECT_EQ(error_of(""),
              "net.emu:1: error[truncated]: the text ends where 'graph' is expected" + mend);
    EXPECT_EQ(error_of("graph"),
              "net.emu:1: error[truncated]: the text ends where a name is expected" + mend);
    EXPECT_EQ(error_of("graph net"),
              "net.emu:1: error[truncated]: the text ends where '{' is expected" + mend);
    EXPECT_EQ(error_of("graph net {\n  %x = input("),
              "net.emu:2: error[truncated]: the text ends where '%' is expected" + mend);
    EXPECT_EQ(error_of("graph net {\n  %x = input() : f32[n"),
              "net.emu:2: error[truncated]: the text ends where ',' is expected" + mend);
    EXPECT_EQ(error_of("graph net {\n  %x = input() : f32[n,3]\n  output \"x"),
              "net.emu:3: error[truncated]: a quoted text has no end\n  fix: close it with '\"'");
    EXPECT_EQ(error_of("graph net {\n  %x = input() : f32[n,3]\n  update %x <-"),
              "net.emu:3: error[truncated]: the text ends where '%' is expected" + mend);
}

}  // namespace
}  // namespace emulsion::test

// The text form of a graph, and back. parse(print(g)) == g.
//
//     graph lenet {
//       %image = input() {name="image"} : f32[n,1,28,28]
//       %conv1.w = parameter() {init="he", fan_in=25} : f32[32,1,5,5]
//       %conv1 = conv2d(%image, %conv1.w) {stride=[1,1], padding=[2,2,2,2]} : f32[n,32,28,28]  #
//       lenet.cpp:8 %pool1 = max_pool(%conv1) {window=[2,2]} : f32[n,32,14,14], u8[n,32,14,14] %use
//       = relu(%pool1:0) : f32[n,32,14,14] output "scores" %dense2 gradient %conv1.w <- %conv1.dw
//       update %conv1.w <- %conv1.w.sgd
//     }
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "compiler/graph/graph.h"

namespace emulsion {

// `with_locations` appends "# file:line".
std::string print(const Graph& graph, bool with_locations = false);

// Attributes of an op: `{stride=[1,1], bias=true}`, or "" without any.
std::string print_attributes(const Op& op);

// Parses one graph. `file` names the text in messages. Throws Error[syntax], [unknown_op],
// [unknown_attribute], [unknown_value] (also for a cycle: a value used before it is defined),
// [truncated], or what `infer` throws.
Graph parse_graph(std::string_view text, const std::string& file);

// Cursor over a text, shared by the parsers of graphs, networks, plans and records.
class TextReader {
  public:
    TextReader(std::string_view text, std::string file) : text_(text), file_(std::move(file)) {}
    void skip_space();  // blanks, line breaks and comments from '#' to the end of the line
    bool at_end();      // nothing but space is left
    bool accept(std::string_view token);  // skips space; consumes the token if it comes next
    void expect(std::string_view token);  // or Error[syntax]
    std::string word();                   // letters, digits, '_', '.', '-'; Error[syntax] if none
    std::string quoted();                 // "…" with \" \\ \n escapes
    int64_t integer();
    double number();  // a decimal point whatever the locale
    char peek();      // next character after space, 0 at the end
    SourceLocation location() const { return {file_, line_}; }
    [[noreturn]] void fail(std::string_view code, std::string message, std::string fix) const;

  private:
    std::string_view text_;
    std::string file_;
    size_t position_ = 0;
    int line_ = 1;
};

// Parses one graph and stops behind its closing brace.
Graph parse_graph(TextReader& reader);

// Reads `{a=1, b=[2,3]}` into the op's fields; an absent block keeps the defaults.
void parse_attributes(TextReader& reader, Op& op);

// An op by name with attributes as in the text form: op_from_text("scale", "{factor=0.5}").
std::shared_ptr<const Op> op_from_text(std::string_view kind, const std::string& attributes = "");

// The same two for anything whose fields `visit` visits; `owner` names it in messages ("op
// conv2d").
std::string print_fields(const std::function<void(Fields&)>& visit);
void parse_fields(TextReader& reader, std::string_view owner,
                  const std::function<void(Fields&)>& visit);

// "…" with the escapes that TextReader::quoted reads.
std::string quote(std::string_view text);

// Parses one graph from the cursor on.
Graph parse_graph(TextReader& reader);

}  // namespace emulsion

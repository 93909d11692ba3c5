// The printer and the parser of graphs. Both visit the attributes of an op through Fields, so
// neither names an op.
#include "compiler/graph/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "compiler/graph/limits.h"
#include "compiler/ops/registry.h"
#include "compiler/ops/sources.h"
#include "compiler/support/closest.h"

namespace emulsion {

std::string quote(std::string_view text) {
    std::string quoted = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') quoted += '\\';
        if (c == '\n') {
            quoted += "\\n";
        } else {
            quoted += c;
        }
    }
    return quoted + "\"";
}

namespace {

// Attributes that kinds got later on, with the value that means what was so before. They are
// printed where they have another: so the text of a model, which signatures and records are made
// of, is that of former versions. An empty list stands for nothing.
constexpr std::pair<std::string_view, int64_t> kLaterFields[] = {
    {"axis", 0}, {"groups", 1}, {"scalars", 1}};
constexpr std::pair<std::string_view, double> kLaterNumbers[] = {{"label_smoothing", 0}};
constexpr std::string_view kLaterLists[] = {"class_weights", "ignored"};

template <class List>
bool is_listed(const List& list, const std::ranges::range_value_t<List>& value) {
    return std::ranges::find(list, value) != std::ranges::end(list);
}

class PrintFields : public Fields {
  public:
    void field(std::string_view name, bool& value) override { put(name, value ? "true" : "false"); }
    void field(std::string_view name, int64_t& value) override {
        if (!is_listed(kLaterFields, {name, value})) put(name, fmt::format("{}", value));
    }
    void field(std::string_view name, double& value) override {
        if (!is_listed(kLaterNumbers, {name, value})) put(name, fmt::format("{}", value));
    }
    void field(std::string_view name, std::string& value) override { put(name, quote(value)); }
    void field(std::string_view name, std::vector<int64_t>& value) override { list(name, value); }
    void field(std::string_view name, std::vector<double>& value) override { list(name, value); }
    std::string text() const { return text_.empty() ? "" : "{" + text_ + "}"; }

  private:
    template <class T>
    void list(std::string_view name, const std::vector<T>& values) {
        if (values.empty() && is_listed(kLaterLists, name)) return;
        put(name, fmt::format("[{}]", fmt::join(values, ",")));
    }
    void put(std::string_view name, const std::string& value) {
        text_ += fmt::format("{}{}={}", text_.empty() ? "" : ", ", name, value);
    }
    std::string text_;
};

// Sets the one attribute `wanted` from the reader; `found` tells whether the op has it.
class ParseField : public Fields {
  public:
    ParseField(TextReader& reader, std::string wanted)
        : reader_(reader), wanted_(std::move(wanted)) {}
    bool found = false;

    void field(std::string_view name, bool& value) override {
        if (!take(name)) return;
        std::string word = reader_.word();
        if (word != "true" && word != "false") {
            reader_.fail("syntax",
                         fmt::format("attribute '{}' is '{}', expected true or false", name, word),
                         "write true or false");
        }
        value = word == "true";
    }
    void field(std::string_view name, int64_t& value) override {
        if (take(name)) value = reader_.integer();
    }
    void field(std::string_view name, double& value) override {
        if (take(name)) value = reader_.number();
    }
    void field(std::string_view name, std::string& value) override {
        if (take(name)) value = reader_.quoted();
    }
    void field(std::string_view name, std::vector<int64_t>& value) override {
        if (take(name)) value = list<int64_t>([&] { return reader_.integer(); });
    }
    void field(std::string_view name, std::vector<double>& value) override {
        if (take(name)) value = list<double>([&] { return reader_.number(); });
    }

  private:
    template <class T, class Read>
    std::vector<T> list(const Read& read) {
        std::vector<T> values;
        reader_.expect("[");
        while (!reader_.accept("]")) {
            values.push_back(read());
            if (reader_.peek() != ']') reader_.expect(",");
        }
        return values;
    }
    bool take(std::string_view name) {
        if (name != wanted_) return false;
        return found = true;
    }
    TextReader& reader_;
    std::string wanted_;
};

std::string reference(const Graph& graph, Value value) {
    const Node& node = graph.node(value.node);
    if (node.types.size() == 1) return "%" + node.name;
    return fmt::format("%{}:{}", node.name, value.output);
}

std::string print_node(const Graph& graph, const Node& node, bool with_locations) {
    std::vector<std::string> operands, types;
    for (Value value : node.inputs) operands.push_back(reference(graph, value));
    for (const TensorType& type : node.types) types.push_back(to_string(type));
    std::string attributes = print_attributes(*node.op);
    std::string text = fmt::format("  %{} = {}({}){}{} : {}\n", node.name, node.op->kind(),
                                   fmt::join(operands, ", "), attributes.empty() ? "" : " ",
                                   attributes, fmt::join(types, ", "));
    if (with_locations && !node.where.file.empty()) {
        text.insert(text.size() - 1, fmt::format("  # {}:{}", node.where.file, node.where.line));
    }
    return text;
}

}  // namespace

std::string print_fields(const std::function<void(Fields&)>& visit) {
    PrintFields fields;
    visit(fields);
    return fields.text();
}

std::string print_attributes(const Op& op) {
    return print_fields(
        [&](Fields& fields) { const_cast<Op&>(op).fields(fields); });  // the visitor only reads
}

std::string print(const Graph& graph, bool with_locations) {
    std::string text = fmt::format("graph {} {{\n", graph.name());
    for (const Node& node : graph.nodes()) text += print_node(graph, node, with_locations);
    for (const Result& result : graph.results()) {
        switch (result.kind) {
            case Result::Kind::output:
                text += fmt::format("  output {} {}\n", quote(result.name),
                                    reference(graph, result.value));
                break;
            case Result::Kind::gradient:
                text += fmt::format("  gradient %{} <- {}\n", graph.node(result.target).name,
                                    reference(graph, result.value));
                break;
            case Result::Kind::update:
                text += fmt::format("  update %{} <- {}\n", graph.node(result.target).name,
                                    reference(graph, result.value));
                break;
        }
    }
    return text + "}\n";
}

namespace {

class FieldNames : public Fields {
  public:
    std::vector<std::string> names;
    void field(std::string_view name, bool&) override { names.emplace_back(name); }
    void field(std::string_view name, int64_t&) override { names.emplace_back(name); }
    void field(std::string_view name, double&) override { names.emplace_back(name); }
    void field(std::string_view name, std::string&) override { names.emplace_back(name); }
    void field(std::string_view name, std::vector<int64_t>&) override { names.emplace_back(name); }
    void field(std::string_view name, std::vector<double>&) override { names.emplace_back(name); }
};

std::string suggestion_of_field(const std::function<void(Fields&)>& visit,
                                const std::string& unknown) {
    FieldNames fields;
    visit(fields);
    return suggest(unknown, {fields.names.begin(), fields.names.end()}, Vocabulary::options)
        .to_string(unknown);
}

}  // namespace

void parse_attributes(TextReader& reader, Op& op) {
    parse_fields(reader, fmt::format("op {}", op.kind()),
                 [&](Fields& fields) { op.fields(fields); });
}

void parse_fields(TextReader& reader, std::string_view owner,
                  const std::function<void(Fields&)>& visit) {
    if (!reader.accept("{")) return;
    std::set<std::string> names;
    while (!reader.accept("}")) {
        std::string name = reader.word();
        if (!names.insert(name).second) {
            reader.fail("syntax", fmt::format("{} has two attributes '{}'", owner, name),
                        "leave one of them out");
        }
        reader.expect("=");
        ParseField parse(reader, name);
        visit(parse);
        if (!parse.found) {
            const std::string attributes = print_fields(visit);
            const std::string near = suggestion_of_field(visit, name);
            reader.fail("unknown_attribute", fmt::format("{} has no attribute '{}'", owner, name),
                        fmt::format("{}{}its attributes are {}", near, near.empty() ? "" : "; ",
                                    attributes.empty() ? "none" : attributes));
        }
        if (reader.peek() != '}') reader.expect(",");
    }
}

std::shared_ptr<const Op> op_from_text(std::string_view kind, const std::string& attributes) {
    std::shared_ptr<Op> op = make_op(kind);
    EMU_CHECK(op != nullptr, "there is no op '{}'", kind);
    TextReader reader(attributes, std::string(kind));
    parse_attributes(reader, *op);
    return op;
}

namespace {

std::vector<int64_t> parse_list(TextReader& reader, std::string_view close) {
    std::vector<int64_t> values;
    while (!reader.accept(close)) {
        values.push_back(reader.integer());
        if (reader.accept(close)) break;
        reader.expect(",");
    }
    for (int64_t value : values) {
        if (value < 1 || value > kMostElements) {
            reader.fail("syntax", fmt::format("an extent of {} is out of range", value),
                        fmt::format("extents are 1 to {}", kMostElements));
        }
    }
    return values;
}

TensorType parse_type(TextReader& reader) {
    TensorType type;
    std::string element = reader.word();
    if (element == "i32") {
        type.element = ElementType::i32;
    } else if (element == "u8") {
        type.element = ElementType::u8;
    } else if (element != "f32") {
        reader.fail("syntax", fmt::format("unknown element type '{}'", element),
                    "element types are f32, i32, u8");
    }
    reader.expect("[");
    type.batched = reader.accept("n");
    if (!type.batched || !reader.accept("]")) {
        if (type.batched) reader.expect(",");
        type.shape = parse_list(reader, "]");
    }
    if (reader.accept("{")) type.factors = parse_list(reader, "}");
    return type;
}

class GraphParser {
  public:
    explicit GraphParser(TextReader& reader) : reader_(reader), builder_("") {}

    Graph parse() {
        reader_.expect("graph");
        builder_ = GraphBuilder(reader_.word());
        reader_.expect("{");
        while (!reader_.accept("}")) statement();
        return builder_.build();
    }

  private:
    void statement() {
        if (reader_.peek() == '%') return node();
        if (reader_.accept("output")) {
            std::string name = reader_.quoted();
            return builder_.output(name, operand());
        }
        bool is_gradient = reader_.accept("gradient");
        if (!is_gradient) reader_.expect("update");
        Value target = operand();
        reader_.expect("<-");
        Value value = operand();
        is_gradient ? builder_.gradient(target.node, value) : builder_.update(target.node, value);
    }

    void node() {
        SourceLocation where = reader_.location();
        reader_.expect("%");
        std::string name = reader_.word();
        reader_.expect("=");
        std::string kind = reader_.word();
        std::unique_ptr<Op> op = make_op(kind);
        if (!op) {
            if (reader_.at_end()) reader_.expect("(");  // a word cut short is no unknown op
            reader_.fail("unknown_op", fmt::format("'{}' uses the unknown op '{}'", name, kind),
                         remedy_for_op(kind));
        }
        reader_.expect("(");
        std::vector<Value> inputs;
        while (!reader_.accept(")")) {
            inputs.push_back(operand());
            if (reader_.peek() != ')') reader_.expect(",");
        }
        parse_attributes(reader_, *op);
        reader_.expect(":");
        std::vector<TensorType> types = {parse_type(reader_)};
        while (reader_.accept(",")) types.push_back(parse_type(reader_));
        if (auto* source = dynamic_cast<SourceOp*>(op.get())) source->set_type(types[0]);
        Value value = builder_.add(std::move(op), std::move(inputs), name, where);
        check_types(value.node, types);
    }

    void check_types(int index, const std::vector<TensorType>& types) {
        const Node& node = builder_.graph().node(index);
        if (node.types == types) return;
        std::vector<std::string> stated, inferred;
        for (const TensorType& type : types) stated.push_back(to_string(type));
        for (const TensorType& type : node.types) inferred.push_back(to_string(type));
        throw Error({"type",
                     fmt::format("'{}' is stated as {}, its op gives {}", node.name,
                                 fmt::join(stated, ", "), fmt::join(inferred, ", ")),
                     fmt::format("write {} after the colon", fmt::join(inferred, ", ")),
                     node.where,
                     {}});
    }

    Value operand() {
        reader_.expect("%");
        std::string name = reader_.word();
        int index = builder_.graph().find(name);
        if (index < 0) {
            SourceLocation where = reader_.location();  // the look at the end may pass line breaks
            if (reader_.at_end()) reader_.expect("}");  // nor an unknown value
            throw Error({"unknown_value",
                         fmt::format("'%{}' is used before it is defined", name),
                         "define every value above its uses; a graph has no cycles",
                         where,
                         {}});
        }
        const int64_t output = reader_.accept(":") ? reader_.integer() : 0;
        const auto count = static_cast<int>(builder_.graph().node(index).types.size());
        if (output < 0 || output >= count) {
            reader_.fail("unknown_value",
                         fmt::format("'%{}' has {} outputs, not an output {}", name, count, output),
                         fmt::format("use %{}:0 to %{}:{}", name, name, count - 1));
        }
        return {index, static_cast<int>(output)};
    }

    TextReader& reader_;
    GraphBuilder builder_;
};

}  // namespace

Graph parse_graph(TextReader& reader) { return GraphParser(reader).parse(); }

Graph parse_graph(std::string_view text, const std::string& file) {
    TextReader reader(text, file);
    Graph graph = parse_graph(reader);
    if (!reader.at_end()) reader.fail("syntax", "there is text after the graph", "remove it");
    return graph;
}

}  // namespace emulsion

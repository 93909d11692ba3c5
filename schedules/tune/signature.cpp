// The reverse of Group::signature. The anchor is not in the text: it follows from the classes of
// the ops, as a group has one contraction, or one reduction or pooling that is not part of a
// prologue or an epilogue.
#include "schedules/tune/signature.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/graph/limits.h"
#include "compiler/graph/text.h"

namespace emulsion {

namespace {

// Line breaks where the signature has "; " and after the opening brace: the graph's own form.
std::string as_lines(std::string_view text) {
    std::string lines;
    bool is_quoted = false;
    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] == '"' && (i == 0 || text[i - 1] != '\\')) is_quoted = !is_quoted;
        const bool ends = !is_quoted && text[i] == ';';
        lines += ends ? '\n' : text[i];
    }
    return lines;
}

int find_anchor(const Graph& body) {
    const auto has_class = [&](int node, OpClass wanted) {
        return body.node(node).op->op_class() == wanted;
    };
    const int count = static_cast<int>(body.nodes().size());
    for (const OpClass wanted : {OpClass::anchor, OpClass::window, OpClass::reduction}) {
        for (int i = 0; i < count; i++) {
            if (has_class(i, wanted)) return i;
        }
    }
    return -1;
}

// One pitch a buffer, each 0 or at least the channels of a tensor with samples.
void check_pitches(const Group& group, const TextReader& reader) {
    if (group.pitches.empty()) return;
    const std::vector<TensorType> types = group.buffer_types();
    bool is_right = types.size() == group.pitches.size();
    for (size_t i = 0; i < types.size() && is_right; i++) {
        const int64_t pitch = group.pitches[i];
        if (pitch == 0) continue;
        is_right = types[i].batched && !types[i].shape.empty() && pitch >= types[i].shape[0];
        if (!is_right) break;
        TensorType whole = types[i];
        whole.shape[0] = pitch;
        is_right = bounded_elements(whole, group.batch) > 0;
    }
    if (is_right) return;
    reader.fail("syntax", "the pitches are not those of the group's buffers",
                "write one for each: 0, or the channels of the map that it is part of");
}

}  // namespace

Group parse_signature(std::string_view text) {
    const std::string lines = as_lines(text);
    TextReader reader(lines, "signature");
    reader.expect("batch");
    reader.expect("=");
    Group group;
    const int64_t batch = reader.integer();
    if (batch < 1 || batch > kMostElements)
        reader.fail("syntax",
                    fmt::format("the batch is {}, but must be 1 to {}", batch, kMostElements),
                    "name the most samples of a call");
    group.batch = static_cast<int>(batch);
    if (reader.accept("pitches")) {
        reader.expect("=");
        do group.pitches.push_back(reader.integer());
        while (reader.accept(","));
    }
    group.body = parse_graph(reader);
    check_pitches(group, reader);
    if (!reader.at_end())
        reader.fail("syntax", "text stands behind the group", "end the line with its brace");
    group.anchor = find_anchor(group.body);
    return group;
}

}  // namespace emulsion

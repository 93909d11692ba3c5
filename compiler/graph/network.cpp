// The text form of a network and the checks on it.
#include "compiler/graph/network.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <set>

#include "compiler/graph/text.h"
#include "compiler/ops/sources.h"
#include "compiler/support/closest.h"
#include "compiler/support/text_file.h"
#include "runtime/support/limits.h"

namespace emulsion {

void ScheduleSpec::fields(Fields& f) {
    const auto is = [&](std::initializer_list<const char*> kinds) {
        return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
    };
    if (is({"cosine", "cosine_restarts", "linear", "polynomial"})) f.field("final", final);
    if (is({"multi_step"})) f.field("at", at);
    if (is({"cosine_restarts", "cyclic", "exponential", "step"})) f.field("every", every);
    if (is({"cyclic", "exponential", "multi_step", "plateau", "step"})) f.field("gamma", gamma);
    if (is({"polynomial"})) f.field("power", power);
    if (is({"cosine_restarts"})) f.field("growth", growth);
    if (is({"one_cycle"})) f.field("rise", rise);
    if (is({"cyclic", "one_cycle"})) f.field("start", start);
    if (is({"one_cycle", "plateau"})) f.field("end", end);
    if (is({"plateau"})) {
        f.field("patience", patience);
        f.field("threshold", threshold);
        f.field("cooldown", cooldown);
        f.field("metric", metric);
    }
}

void ScheduleSpec::extras(Fields& f) {
    f.field("warm_up", warm_up);
    f.field("warm_up_epochs", warm_up_epochs);
    f.field("in_epochs", in_epochs);
}

bool ScheduleSpec::has_extras() const { return warm_up != 0 || warm_up_epochs != 0 || in_epochs; }

void OptimizerSpec::fields(Fields& f) {
    f.field("learning_rate", learning_rate);
    f.field("weight_decay", weight_decay);
    if (kind == "sgd") {
        f.field("momentum", momentum);
        f.field("nesterov", nesterov);
        f.field("damped", damped);
    }
    if (kind == "adam") {
        f.field("beta1", beta1);
        f.field("beta2", beta2);
        f.field("epsilon", epsilon);
        f.field("form", form);
        f.field("decoupled", decoupled);
        f.field("bias_correction", bias_correction);
    }
    if (kind == "adagrad") {
        f.field("epsilon", epsilon);
        f.field("initial", initial);
    }
    if (kind == "adadelta") {
        f.field("rho", rho);
        f.field("epsilon", epsilon);
    }
    if (kind == "levenberg_marquardt") {
        f.field("rho", rho);
        f.field("damping", epsilon);
    }
    if (kind == "rmsprop") {
        f.field("rho", rho);
        f.field("epsilon", epsilon);
        f.field("inside", inside);
        f.field("centered", centered);
        f.field("momentum", momentum);
    }
}

void OptimizerSpec::extras(Fields& f) {
    f.field("clip_value", clip_value);
    f.field("clip_norm", clip_norm);
    f.field("l1", l1);
    f.field("adjustable", adjustable);
}

bool OptimizerSpec::has_extras() const {
    return clip_value != 0 || clip_norm != 0 || l1 != 0 || adjustable;
}

bool operator==(const Network& a, const Network& b) {
    return a.name == b.name && a.graph == b.graph && a.optimizer == b.optimizer &&
           a.schedule == b.schedule && a.rates == b.rates && a.classes == b.classes &&
           a.normalization == b.normalization && a.augmentation == b.augmentation;
}

void visit_piece(AugmentPiece& piece, Fields& fields) {
    const auto names = find_augment_kind(piece.kind)->fields;
    for (size_t i = 0; i < names.size(); i++) fields.field(names[i].name, piece.values[i]);
}

void visit_augmentation(Augmentation& augmentation, std::string& fill, Fields& fields) {
    fields.field("fill", fill);
    fields.field("fill_value", augmentation.fill_value);
    fields.field("untouched", augmentation.untouched);
}

// Text

namespace {

template <class Spec>
std::string print_spec(Spec spec) {
    std::string fields = print_fields([&](Fields& f) { visit_printed(spec, f); });
    return fields.empty() ? spec.kind : spec.kind + " " + fields;
}

std::vector<double> parse_numbers(TextReader& reader, std::string_view name) {
    reader.expect(name);
    reader.expect("=");
    reader.expect("[");
    std::vector<double> values;
    while (!reader.accept("]")) {
        values.push_back(reader.number());
        if (reader.peek() != ']') reader.expect(",");
    }
    return values;
}

std::vector<std::string> parse_classes(TextReader& reader) {
    std::vector<std::string> classes;
    reader.expect("[");
    while (!reader.accept("]")) {
        classes.push_back(reader.quoted());
        if (reader.peek() != ']') reader.expect(",");
    }
    return classes;
}

Normalization parse_normalization(TextReader& reader) {
    Normalization normalization;
    reader.expect("{");
    normalization.mean = parse_numbers(reader, "mean");
    reader.expect(",");
    normalization.deviation = parse_numbers(reader, "deviation");
    reader.expect("}");
    return normalization;
}

std::string print_augmentation(Augmentation augmentation) {
    std::string fill(fill_name(augmentation.fill));
    std::vector<std::string> pieces;
    for (AugmentPiece& piece : augmentation.pieces) {
        pieces.push_back(piece.kind + " " +
                         print_fields([&](Fields& f) { visit_piece(piece, f); }));
    }
    return fmt::format("{} [{}]",
                       print_fields([&](Fields& f) { visit_augmentation(augmentation, fill, f); }),
                       fmt::join(pieces, ", "));
}

AugmentPiece parse_piece(TextReader& reader) {
    const std::string kind = reader.word();
    if (find_augment_kind(kind) == nullptr) {
        std::vector<std::string_view> kinds;
        for (const AugmentKind& each : augment_kinds()) kinds.push_back(each.name);
        reader.fail("unknown_kind", fmt::format("'{}' is no augmentation", kind),
                    fmt::format("write one of {}", fmt::join(kinds, ", ")));
    }
    AugmentPiece piece = usual_piece(kind);
    parse_fields(reader, "augmentation " + kind, [&](Fields& f) { visit_piece(piece, f); });
    return piece;
}

Augmentation parse_augmentation(TextReader& reader) {
    Augmentation augmentation;
    std::string name(fill_name(augmentation.fill));
    parse_fields(reader, "augmentation",
                 [&](Fields& f) { visit_augmentation(augmentation, name, f); });
    const std::optional<Fill> fill = find_fill(name);
    if (!fill) {
        reader.fail("unknown_kind", fmt::format("'{}' is no fill of an augmentation", name),
                    "write constant, nearest, reflect or wrap");
    }
    augmentation.fill = *fill;
    reader.expect("[");
    while (!reader.accept("]")) {
        augmentation.pieces.push_back(parse_piece(reader));
        if (reader.peek() != ']') reader.expect(",");
    }
    return augmentation;
}

// Reads the kind, which must be one of `kinds`, and the fields of that kind. `what` is "optimizer"
// or "schedule".
template <class Spec>
Spec parse_spec(TextReader& reader, const std::string& what,
                const std::vector<std::string>& kinds) {
    Spec spec;
    spec.kind = reader.word();
    if (std::find(kinds.begin(), kinds.end(), spec.kind) == kinds.end()) {
        const std::string near =
            suggest(spec.kind, {kinds.begin(), kinds.end()}, Vocabulary::layers)
                .to_string(spec.kind);
        reader.fail("unknown_kind", fmt::format("'{}' is no {}", spec.kind, what),
                    fmt::format("{}{}write one of {}", near, near.empty() ? "" : "; ",
                                fmt::join(kinds, ", ")));
    }
    parse_fields(reader, what + " " + spec.kind, [&](Fields& f) {
        spec.fields(f);
        spec.extras(f);
    });
    return spec;
}

std::map<std::string, double> parse_rates(TextReader& reader) {
    std::map<std::string, double> rates;
    reader.expect("{");
    while (!reader.accept("}")) {
        const std::string name = reader.word();
        reader.expect("=");
        if (!rates.emplace(name, reader.number()).second) {
            reader.fail("syntax", fmt::format("the rates have two of '{}'", name),
                        "leave one of them out");
        }
        if (reader.peek() != '}') reader.expect(",");
    }
    return rates;
}

// Reads the header lines, in any order and each at most once, up to the graph.
void parse_headers(TextReader& reader, Network& network) {
    std::set<std::string> found;
    const auto accept = [&](const char* word) {
        if (!reader.accept(word)) return false;
        if (!found.insert(word).second) {
            reader.fail("syntax", fmt::format("the network has two lines '{}'", word),
                        "leave one of them out");
        }
        return true;
    };
    while (true) {
        if (accept("optimizer")) {
            network.optimizer = parse_spec<OptimizerSpec>(
                reader, "optimizer",
                {"adadelta", "adagrad", "adam", "levenberg_marquardt", "rmsprop", "sgd"});
        } else if (accept("schedule")) {
            network.schedule = parse_spec<ScheduleSpec>(
                reader, "schedule",
                {"constant", "cosine", "cosine_restarts", "cyclic", "exponential", "linear",
                 "multi_step", "one_cycle", "plateau", "polynomial", "step"});
        } else if (accept("rates")) {
            network.rates = parse_rates(reader);
        } else if (accept("normalization")) {
            network.normalization = parse_normalization(reader);
        } else if (accept("augmentation")) {
            network.augmentation = parse_augmentation(reader);
        } else if (accept("classes")) {
            network.classes = parse_classes(reader);
        } else {
            return;
        }
    }
}

}  // namespace

std::string print(const Network& network) {
    std::string text = fmt::format("network {}\n", network.name);
    text += fmt::format("optimizer {}\n", print_spec(network.optimizer));
    text += fmt::format("schedule {}\n", print_spec(network.schedule));
    if (!network.rates.empty()) {
        std::vector<std::string> rates;
        for (const auto& [name, factor] : network.rates)
            rates.push_back(fmt::format("{}={}", name, factor));
        text += fmt::format("rates {{{}}}\n", fmt::join(rates, ", "));
    }
    if (!network.normalization.empty()) {
        text += fmt::format("normalization {{mean=[{}], deviation=[{}]}}\n",
                            fmt::join(network.normalization.mean, ","),
                            fmt::join(network.normalization.deviation, ","));
    }
    if (!network.augmentation.empty())
        text += fmt::format("augmentation {}\n", print_augmentation(network.augmentation));
    if (!network.classes.empty()) {
        std::vector<std::string> quoted;
        for (const std::string& name : network.classes) quoted.push_back(quote(name));
        text += fmt::format("classes [{}]\n", fmt::join(quoted, ", "));
    }
    return text + print(network.graph);
}

Network parse_network(std::string_view text, const std::string& file) {
    TextReader reader(text, file);
    Network network;
    reader.expect("network");
    network.name = reader.word();
    parse_headers(reader, network);
    network.graph = parse_graph(reader);
    if (!reader.at_end()) reader.fail("syntax", "there is text after the graph", "remove it");
    if (network.graph.name() != network.name) {
        reader.fail(
            "syntax",
            fmt::format("network '{}' holds the graph '{}'", network.name, network.graph.name()),
            "give both the same name");
    }
    verify_network(network);
    return network;
}

Network read_network(const std::string& path) {
    constexpr uint64_t kMostBytes = uint64_t{64} << 20;
    return parse_network(read_text_file(path, kMostBytes, "model", "file",
                                        "give the path of a .emu file that you may read"),
                         path);
}

// Checks

bool is_measure(std::string_view output) {
    if (output.ends_with(".loss")) return true;
    return std::ranges::any_of(std::array{"correct", "counted"}, [&](std::string_view count) {
        return output == count ||
               (output.ends_with(count) && output[output.size() - count.size() - 1] == '.');
    });
}

bool is_for_training(std::string_view output) { return output == "loss" || is_measure(output); }

bool is_trained(const Network& network) { return network.graph.find_output("loss") != nullptr; }

bool is_network_name(std::string_view name) {
    if (name.empty() || name.size() > 64 || !std::isalpha(static_cast<unsigned char>(name[0])))
        return false;
    for (char c : name) {
        if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '-') return false;
    }
    return true;
}

}  // namespace emulsion

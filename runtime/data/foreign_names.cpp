// See foreign_names.h.
#include "runtime/data/foreign_names.h"

#include <algorithm>

#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr NameRules kRules[] = {
    {"torchvision's resnet18",
     "conv1 layer1.{0,1}.conv{1,2} "
     "layer2.0.conv{1,2} layer2.0.downsample.0 layer2.1.conv{1,2} "
     "layer3.0.conv{1,2} layer3.0.downsample.0 layer3.1.conv{1,2} "
     "layer4.0.conv{1,2} layer4.0.downsample.0 layer4.1.conv{1,2}",
     "",
     "bn1 layer1.{0,1}.bn{1,2} "
     "layer2.0.bn{1,2} layer2.0.downsample.1 layer2.1.bn{1,2} "
     "layer3.0.bn{1,2} layer3.0.downsample.1 layer3.1.bn{1,2} "
     "layer4.0.bn{1,2} layer4.0.downsample.1 layer4.1.bn{1,2}",
     "fc"},
    {"torchvision's resnet50",
     "conv1 "
     "layer1.0.conv{1..3} layer1.0.downsample.0 layer1.{1..2}.conv{1..3} "
     "layer2.0.conv{1..3} layer2.0.downsample.0 layer2.{1..3}.conv{1..3} "
     "layer3.0.conv{1..3} layer3.0.downsample.0 layer3.{1..5}.conv{1..3} "
     "layer4.0.conv{1..3} layer4.0.downsample.0 layer4.{1..2}.conv{1..3}",
     "",
     "bn1 "
     "layer1.0.bn{1..3} layer1.0.downsample.1 layer1.{1..2}.bn{1..3} "
     "layer2.0.bn{1..3} layer2.0.downsample.1 layer2.{1..3}.bn{1..3} "
     "layer3.0.bn{1..3} layer3.0.downsample.1 layer3.{1..5}.bn{1..3} "
     "layer4.0.bn{1..3} layer4.0.downsample.1 layer4.{1..2}.bn{1..3}",
     "fc"},
    {"torchvision's vgg16", "features.{0,2,5,7,10,12,14,17,19,21,24,26,28}", "", "",
     "classifier.{0,3,6}"},
    {"torchvision's squeezenet1_1",
     "features.0 features.{3,4,6,7,9,10,11,12}.{squeeze,expand1x1,expand3x3} classifier.1", "", "",
     ""},
    {"torchvision's mobilenet_v2",
     "features.0.0 features.1.conv.1 features.{2..17}.conv.{0.0,2} features.18.0",
     "features.1.conv.0.0 features.{2..17}.conv.1.0",
     "features.0.1 features.1.conv.{0.1,2} features.{2..17}.conv.{0.1,1.1,3} features.18.1",
     "classifier.1"},
    {"torchvision's densenet121",
     "features.conv0 "
     "features.denseblock1.denselayer{1..6}.conv{1,2} features.transition1.conv "
     "features.denseblock2.denselayer{1..12}.conv{1,2} features.transition2.conv "
     "features.denseblock3.denselayer{1..24}.conv{1,2} features.transition3.conv "
     "features.denseblock4.denselayer{1..16}.conv{1,2}",
     "",
     "features.norm0 "
     "features.denseblock1.denselayer{1..6}.norm{1,2} features.transition1.norm "
     "features.denseblock2.denselayer{1..12}.norm{1,2} features.transition2.norm "
     "features.denseblock3.denselayer{1..24}.norm{1,2} features.transition3.norm "
     "features.denseblock4.denselayer{1..16}.norm{1,2} features.norm5",
     "classifier"},
};

// Parts of a layer and what PyTorch calls them.
struct Part {
    std::string_view own, theirs;
};
constexpr Part kParts[] = {{"w", "weight"},
                           {"b", "bias"},
                           {"gamma", "weight"},
                           {"beta", "bias"},
                           {"running_mean", "running_mean"},
                           {"running_variance", "running_var"}};

// Calls visit(part) for the parts of `text` between separators.
template <typename Visit>
void split(std::string_view text, char separator, Visit visit) {
    while (!text.empty()) {
        const size_t end = std::min(text.find(separator), text.size());
        visit(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

// What stands between braces: "a,b" or "1..3".
std::vector<std::string> choices_of(std::string_view text) {
    std::vector<std::string> choices;
    const size_t dots = text.find("..");
    if (dots == text.npos) {
        split(text, ',', [&](std::string_view part) { choices.emplace_back(part); });
        return choices;
    }
    const uint64_t last = parse_unsigned(text.substr(dots + 2)).value_or(0);
    for (uint64_t i = parse_unsigned(text.substr(0, dots)).value_or(1); i <= last; i++)
        choices.push_back(concat(i));
    return choices;
}

// Adds what `rest` stands for, each behind `begin`.
void expand(const std::string& begin, std::string_view rest, std::vector<std::string>* names) {
    const size_t open = rest.find('{');
    if (open == rest.npos) return names->push_back(concat(begin, rest));
    const size_t close = rest.find('}', open);
    for (const std::string& choice : choices_of(rest.substr(open + 1, close - open - 1)))
        expand(concat(begin, rest.substr(0, open), choice), rest.substr(close + 1), names);
}

}  // namespace

std::span<const NameRules> name_rules() { return kRules; }

std::vector<std::string> expand_names(std::string_view list) {
    std::vector<std::string> names;
    split(list, ' ', [&](std::string_view part) { expand("", part, &names); });
    return names;
}

ForeignNames::ForeignNames(const NameRules& rules)
    : modules_{{"conv", expand_names(rules.conv)},
               {"depthwise_conv", expand_names(rules.depthwise_conv)},
               {"batch_norm", expand_names(rules.batch_norm)},
               {"dense", expand_names(rules.dense)}} {}

std::optional<std::string> ForeignNames::name_of(std::string_view tensor) const {
    const size_t dot = tensor.rfind('.');
    if (dot == tensor.npos) return std::nullopt;
    const std::string_view layer = tensor.substr(0, dot), part = tensor.substr(dot + 1);
    const size_t digits = layer.find_last_not_of("0123456789") + 1;
    const auto modules = modules_.find(layer.substr(0, digits));
    const auto number = parse_unsigned(layer.substr(digits));
    if (modules == modules_.end() || !number || *number < 1) return std::nullopt;
    if (*number > modules->second.size()) return std::nullopt;
    for (const Part& each : kParts) {
        if (each.own == part) return concat(modules->second[*number - 1], ".", each.theirs);
    }
    return std::nullopt;
}

}  // namespace emulsion

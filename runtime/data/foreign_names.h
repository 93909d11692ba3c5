// What other tools call the tensors of networks that are built as those in examples/networks: rules
// as data, so that a file of theirs is read by name.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace emulsion {

// The modules of one network, in the order in which a model makes the layers of that kind: names
// with a blank between two, {a,b} for one after the other, {1..3} for numbers. "conv{1,2}" stands
// for "conv1 conv2", and "l{1,2}.{a,b}" for "l1.a l1.b l2.a l2.b".
struct NameRules {
    const char* origin;  // "torchvision's resnet18"
    const char *conv, *depthwise_conv, *batch_norm, *dense;
};

std::span<const NameRules> name_rules();

// The names that such a list stands for.
std::vector<std::string> expand_names(std::string_view list);

class ForeignNames {
  public:
    explicit ForeignNames(const NameRules& rules);

    // "layer1.0.conv1.weight" of "conv2.w"; nothing for a tensor that the rules do not know.
    std::optional<std::string> name_of(std::string_view tensor) const;

  private:
    std::map<std::string, std::vector<std::string>, std::less<>> modules_;  // by kind of layer
};

}  // namespace emulsion

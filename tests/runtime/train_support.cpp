// See train_support.h.
#include "tests/runtime/train_support.h"

#include <cstring>
#include <sstream>

#include "runtime/data/weights.h"

namespace emulsion {

std::vector<float> read_weights(const std::string& path, const std::string& name) {
    const std::string text = read_text(path);
    const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
    const SafetensorsHeader header = parse_safetensors({bytes, text.size()}, path);
    const TensorEntry* entry = header.find(name);
    if (entry == nullptr) return {};
    std::vector<float> values((entry->end - entry->begin) / sizeof(float));
    std::memcpy(values.data(), bytes + header.data_begin + entry->begin,
                values.size() * sizeof(float));
    return values;
}

std::vector<nlohmann::json> read_lines(const std::string& text) {
    std::vector<nlohmann::json> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);)
        lines.push_back(nlohmann::json::parse(line));
    return lines;
}

}  // namespace emulsion

// See description.h.
#include "runtime/program/description.h"

#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>

#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

using Json = nlohmann::json;

// The object under `name`, or an empty one.
Json find_object(const Json& parent, const char* name) {
    const auto found = parent.find(name);
    return found != parent.end() && found->is_object() ? *found : Json::object();
}

[[noreturn]] void refuse(const std::string& why) {
    throw RuntimeError("network description", concat("cannot be read: ", why),
                       "build the program anew with the compiler that its runtime belongs to");
}

// A number that is whole and that the type holds, or any other value.
template <typename T>
void convert(const Json& json, T* value) {
    if constexpr (std::is_integral_v<T>) {
        const bool holds = json.is_number_unsigned()  ? std::in_range<T>(json.get<uint64_t>())
                           : json.is_number_integer() ? std::in_range<T>(json.get<int64_t>())
                                                      : false;
        if (!holds) refuse(concat(one_line(json.dump()), " is no whole number of its field"));
    }
    *value = json.get<T>();
}

template <typename T>
void convert(const Json& json, std::vector<T>* values) {
    values->clear();
    for (const Json& each : json) convert(each, &values->emplace_back());
}

template <typename T>
void read(const Json& parent, const char* name, T* value) {
    const auto found = parent.find(name);
    if (found != parent.end() && !found->is_null()) convert(*found, value);
}

void read_layers(const Json& json, std::vector<LayerFacts>* layers) {
    const auto found = json.find("layers");
    if (found == json.end() || !found->is_array()) return;
    for (const Json& each : *found) {
        LayerFacts& layer = layers->emplace_back();
        read(each, "name", &layer.name);
        read(each, "op", &layer.op);
        read(each, "inputs", &layer.inputs);
        read(each, "output", &layer.output);
        read(each, "parameters", &layer.parameters);
        read(each, "multiply_adds", &layer.multiply_adds);
        read(each, "bytes", &layer.bytes);
    }
}

// "sgd, momentum 0.9, nesterov": what is zero or off is left out.
std::string describe_optimizer(const Json& optimizer) {
    std::string text = optimizer.value("kind", "");
    for (const auto& [name, value] : optimizer.items()) {
        if (name == "kind" || name == "learning_rate") continue;
        std::string words = name;
        for (char& c : words) c = c == '_' ? ' ' : c;
        if (value.is_number() && value.get<double>() != 0.0)
            text += ", " + words + " " + concat(value.get<double>());
        if (value.is_boolean() && value.get<bool>()) text += ", " + words;
    }
    return text;
}

// A kind or a fill that this version does not know would be left out in silence.
Augmentation read_augmentation(const Json& json) {
    Augmentation augmentation;
    std::string fill(fill_name(augmentation.fill));
    read(json, "fill", &fill);
    const std::optional<Fill> found = find_fill(fill);
    if (!found) refuse(concat("there is no fill ", quoted(fill)));
    augmentation.fill = *found;
    read(json, "fill_value", &augmentation.fill_value);
    read(json, "untouched", &augmentation.untouched);
    for (const Json& each : json.value("pieces", Json::array())) {
        const std::string name = each.value("kind", "");
        const AugmentKind* kind = find_augment_kind(name);
        if (kind == nullptr) refuse(concat("there is no augmentation ", quoted(name)));
        AugmentPiece piece = usual_piece(name);
        for (size_t i = 0; i < kind->fields.size(); i++)
            read(each, std::string(kind->fields[i].name).c_str(), &piece.values[i]);
        augmentation.pieces.push_back(std::move(piece));
    }
    return augmentation;
}

}  // namespace

NetworkDescription parse_description(const char* text) {
    NetworkDescription description;
    try {
        const Json json = Json::parse(text);
        read(json, "version", &description.version);
        read(json, "network", &description.network);
        read(json, "signature", &description.signature);
        read(json, "infer_batches", &description.infer_batches);
        read(json, "threads", &description.threads);
        read(json, "parameters", &description.parameters);
        read(json, "multiply_adds", &description.multiply_adds);
        const Json optimizer = find_object(json, "optimizer");
        description.optimizer = describe_optimizer(optimizer);
        read(optimizer, "learning_rate", &description.learning_rate);
        const Json schedule = find_object(json, "schedule");
        read(schedule, "kind", &description.schedule);
        description.schedule_fields = schedule.dump(-1, ' ', false, Json::error_handler_t::replace);
        description.augmentation = read_augmentation(find_object(json, "augmentation"));
        read(find_object(json, "defaults"), "epochs", &description.default_epochs);
        read_layers(json, &description.layers);
    } catch (const Json::exception& error) {
        refuse(error.what());
    }
    return description;
}

}  // namespace emulsion

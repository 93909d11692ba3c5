// See description.h.
#include "runtime/program/description.h"

#include <nlohmann/json.hpp>

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

template <typename T>
void read(const Json& parent, const char* name, T* value) {
    const auto found = parent.find(name);
    if (found != parent.end() && !found->is_null()) *value = found->get<T>();
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
        read(schedule, "final", &description.final_rate);
        read(schedule, "step_size", &description.step_size);
        read(schedule, "gamma", &description.gamma);
        read(find_object(json, "defaults"), "epochs", &description.default_epochs);
    } catch (const Json::exception& error) {
        throw RuntimeError("network description", concat("cannot be read: ", error.what()),
                           "build the program anew with the compiler that its runtime belongs to");
    }
    return description;
}

}  // namespace emulsion

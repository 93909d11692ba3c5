// See integration_support.h.
#include "tests/integration/integration_support.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>
#include <stdexcept>

#include "compiler/codegen/library.h"
#include "compiler/ops/batch_norm.h"
#include "dsl/emulsion.h"
#include "dsl/finish.h"
#include "schedules/library.h"

namespace emulsion::test {

// ---- Networks ----

namespace {

Network finished(const Model& model) {
    FinishedModel result = finish(model);
    for (const Diagnostic& mistake : result.mistakes) ADD_FAILURE() << mistake.message;
    if (!result.network) throw std::runtime_error("a network of the tests has mistakes");
    return *result.network;
}

Tensor conv_norm(Tensor x, int width, Size kernel, Size stride) {
    return batch_norm(conv(
        x, width, {.kernel = kernel, .stride = stride, .padding = kernel.h / 2, .bias = false}));
}

Tensor residual_block(Tensor x, int width, int stride) {
    Tensor y = relu(conv_norm(x, width, 3, stride));
    y = conv_norm(y, width, 3, 1);
    return relu(y + (stride == 1 ? x : conv_norm(x, width, 1, stride)));
}

}  // namespace

Network small_network() {
    Model m("small");
    Tensor x = m.input("image", {1, 12, 12});
    x = average_pool(leaky_relu(conv(x, 8, {.kernel = 3, .padding = same})), {.window = 2});
    x = max_pool(relu(conv(x, 20, {.kernel = 3})), {.window = 2});
    x = dropout(relu(dense(flatten(x), 24)), {.rate = 0.25});
    m.classify(dense(x, 5));
    m.learning_rate("dense1", 0.5);
    m.optimizer(adam({.learning_rate = 0.01, .clip_norm = 0.5}));
    return finished(m);
}

Network residual_network() {
    Model m("residual");
    Tensor x = m.input("image", {3, 10, 10});
    x = relu(conv_norm(x, 16, 3, 1));
    x = residual_block(x, 16, 1);
    x = residual_block(x, 24, 2);
    m.classify(dense(global_average_pool(x), 7));
    m.optimizer(sgd({.learning_rate = 0.05, .momentum = 0.9}));
    return finished(m);
}

Network mobile_network() {
    Model m("mobile");
    Tensor x = relu6(conv_norm(m.input("image", {3, 32, 32}), 16, 3, 2));
    int channels = 16;
    for (const auto& [width, stride] : {std::pair{16, 1}, {24, 2}, {24, 1}}) {
        Tensor y = relu6(conv_norm(x, 6 * channels, 1, 1));
        y = depthwise_conv(y, {.kernel = 3, .stride = stride, .padding = 1, .bias = false});
        y = conv_norm(relu6(batch_norm(y)), width, 1, 1);
        x = stride == 1 && channels == width ? x + y : y;
        channels = width;
    }
    m.classify(dense(global_average_pool(x), 10), {.weight = 0.3, .name = "early"});
    x = global_average_pool(relu6(conv_norm(x, 160, 1, 1)));
    m.classify(dense(dropout(x, {.rate = 0.2}), 10));
    m.freeze("conv1");
    m.learning_rate("dense*", 0.5);
    m.optimizer(rmsprop({.epsilon = 0.1, .centered = true, .momentum = 0.5, .l1 = 1e-4}));
    return finished(m);
}

Network tiny_network() {
    Model m("tiny");
    m.classify(dense(tanh(dense(flatten(m.input("image", {1, 2, 2})), 5)), 3));
    m.optimizer(sgd({.learning_rate = 0.05, .momentum = 0.9}));
    return finished(m);
}

// ---- Libraries ----

std::string object_of_archive(const std::string& path) {
    const std::string archive = read_text(path);
    size_t at = 8;  // behind "!<arch>\n"
    while (at + 60 <= archive.size()) {
        const size_t bytes = std::stoul(archive.substr(at + 48, 10));
        if (archive.compare(at + 60, 4,
                            "\x7f"
                            "ELF") == 0)
            return archive.substr(at + 60, bytes);
        at += 60 + bytes + bytes % 2;
    }
    throw std::runtime_error(path + " holds no object");
}

BuiltLibraries::BuiltLibraries(const Network& network, const LibraryOptions& options) {
    static const RecipeLibrary recipes = make_library();
    BuildOptions build_options;
    build_options.output = folder_.path();
    build_options.batch = options.batch;
    build_options.infer_batches = options.infer_batches;
    build_options.threads = 2;
    build_options.target = options.target;
    build_options.devices = options.devices;
    build_options.exact = options.exact;
    build_options.update_at_once = options.update_at_once;
    build_options.memory_budget = options.memory_budget;
    build_options.checked = options.checked;
    build_options.jobs = options.jobs;
    build_options.choices = options.choices;
    build_options.programs = false;
    build(network, recipes, build_options);
    const std::string train = library_name(network, /*training=*/true),
                      infer = library_name(network, /*training=*/false);
    train_object_ = std::make_unique<LoadedObject>(object_of_archive(folder_ / (train + ".a")));
    infer_object_ = std::make_unique<LoadedObject>(object_of_archive(folder_ / (infer + ".a")));
    const auto take = [](const LoadedObject& object, const std::string& library, const char* name,
                         auto& pointer) {
        pointer =
            reinterpret_cast<std::decay_t<decltype(pointer)>>(object.find(library + "_" + name));
        if (pointer == nullptr) throw std::runtime_error(library + " lacks the function " + name);
    };
    take(*train_object_, train, "info", train_.info);
    take(*train_object_, train, "sizes", train_.sizes);
    take(*train_object_, train, "device", train_.device);
    take(*train_object_, train, "speed", train_.speed);
    take(*train_object_, train, "init", train_.init);
    take(*train_object_, train, "bind", train_.bind);
    take(*train_object_, train, "upload", train_.upload);
    if (!options.update_at_once) {
        take(*train_object_, train, "forward_backward", train_.forward_backward);
        take(*train_object_, train, "update", train_.update);
    }
    take(*train_object_, train, "step", train_.step);
    take(*train_object_, train, "wait", train_.wait);
    take(*train_object_, train, "download", train_.download);
    take(*train_object_, train, "error", train_.error);
    take(*train_object_, train, "unbind", train_.unbind);
    take(*infer_object_, infer, "info", infer_.info);
    take(*infer_object_, infer, "sizes", infer_.sizes);
    take(*infer_object_, infer, "device", infer_.device);
    take(*infer_object_, infer, "speed", infer_.speed);
    take(*infer_object_, infer, "prepare", infer_.prepare);
    take(*infer_object_, infer, "bind", infer_.bind);
    take(*infer_object_, infer, "run", infer_.run);
    take(*infer_object_, infer, "wait", infer_.wait);
    take(*infer_object_, infer, "error", infer_.error);
    take(*infer_object_, infer, "unbind", infer_.unbind);
}

// ---- Memory ----

void Block::Free::operator()(char* block) const { std::free(block); }

Block::Block(size_t bytes, size_t shift) : bytes_(bytes), shift_(shift) {
    const size_t room = (bytes + shift + 63) / 64 * 64 + 64;
    memory_.reset(static_cast<char*>(std::aligned_alloc(64, room)));
    std::memset(memory_.get(), 0, room);
}

Ports::Ports(const emulsion_info& info) : info_(info) {
    const auto bytes_of = [&](const emulsion_port& port) {
        return static_cast<size_t>(port.bytes) * static_cast<size_t>(port.batched ? info.batch : 1);
    };
    for (int i = 0; i < info.input_count; i++) inputs_.emplace_back(bytes_of(info.inputs[i]));
    for (int i = 0; i < info.output_count; i++) outputs_.emplace_back(bytes_of(info.outputs[i]));
    for (const Block& block : inputs_) input_pointers_.push_back(block.get());
    for (const Block& block : outputs_) output_pointers_.push_back(block.get());
    call_.inputs = input_pointers_.data();
    call_.outputs = output_pointers_.data();
}

void Ports::fill(uint64_t seed, int classes) {
    std::mt19937_64 random(seed);
    std::normal_distribution<float> normal;
    for (int i = 0; i < info_.input_count; i++) {
        const Block& block = inputs_[static_cast<size_t>(i)];
        for (size_t k = 0; k < block.bytes() / 4; k++) {
            if (info_.inputs[i].type == EMULSION_F32) {
                block.as<float>()[k] = normal(random);
            } else {
                block.as<int32_t>()[k] =
                    static_cast<int32_t>(random() % static_cast<uint64_t>(classes));
            }
        }
    }
}

const emulsion_call* Ports::call(int samples) {
    call_.samples = samples;
    return &call_;
}

float* Ports::output(const std::string& name) const {
    for (int i = 0; i < info_.output_count; i++) {
        if (info_.outputs[i].name == name) return outputs_[static_cast<size_t>(i)].as<float>();
    }
    throw std::runtime_error("there is no output '" + name + "'");
}

std::vector<float> Ports::row(const std::string& name, int sample) const {
    for (int i = 0; i < info_.output_count; i++) {
        if (info_.outputs[i].name != name) continue;
        const size_t width = info_.outputs[i].bytes / sizeof(float);
        const float* first = output(name) + width * static_cast<size_t>(sample);
        return {first, first + width};
    }
    throw std::runtime_error("there is no output '" + name + "'");
}

Memory::Memory(const emulsion_sizes& sizes) {
    memory_.sizes = sizes;
    for (uint64_t bytes : sizes.bytes) blocks_.emplace_back(bytes);
    for (size_t i = 0; i < blocks_.size(); i++) memory_.block[i] = blocks_[i].get();
}

std::vector<std::byte> Memory::bytes(emulsion_class which) const {
    const Block& block = blocks_[which];
    return {block.as<std::byte>(), block.as<std::byte>() + block.bytes()};
}

void Memory::set(emulsion_class which, const std::vector<std::byte>& bytes) {
    if (bytes.size() > blocks_[which].bytes())
        throw std::runtime_error("a class of memory is too small");
    if (!bytes.empty()) std::memcpy(blocks_[which].get(), bytes.data(), bytes.size());
}

// ---- Instances ----

namespace {

template <class Library>
emulsion_sizes sizes_of(const Library& library, int threads) {
    emulsion_sizes sizes{};
    EXPECT_EQ(library.sizes(threads, &sizes), EMULSION_OK);
    return sizes;
}

}  // namespace

emulsion_options options_of(int threads, int variant) {
    emulsion_options options{};
    options.threads = threads;
    options.variant = variant;
    return options;
}

Trainer::Trainer(const emulsion_train_library& functions, int threads, int variant, uint64_t seed,
                 const char* device, const emulsion_device_memory* device_memory)
    : library(functions),
      info(*functions.info()),
      memory(sizes_of(functions, threads)),
      ports(info),
      classes(info.class_count > 0 ? info.class_count : 2) {
    EXPECT_EQ(library.init(seed, memory.get()), EMULSION_OK);
    emulsion_options options = options_of(threads, variant);
    options.device = device;
    options.device_memory = device_memory;
    EXPECT_EQ(library.bind(instance(), memory.get(), &options), EMULSION_OK)
        << library.error(instance());
    for (int which : {EMULSION_PARAMETERS, EMULSION_STATE})
        EXPECT_EQ(library.upload(instance(), which), EMULSION_OK) << library.error(instance());
}

Trainer::~Trainer() { library.unbind(instance()); }

void Trainer::step(uint64_t data, int samples, float learning_rate) {
    ports.fill(data, classes);
    EXPECT_EQ(library.step(instance(), ports.call(samples), learning_rate), EMULSION_OK)
        << library.error(instance());
}

void Trainer::download() {
    for (int which : {EMULSION_PARAMETERS, EMULSION_STATE, EMULSION_GRADIENTS}) {
        if (memory.get()->sizes.bytes[which] == 0) continue;
        EXPECT_EQ(library.download(instance(), which), EMULSION_OK) << library.error(instance());
    }
}

float* Trainer::tensor(const std::string& name) const {
    constexpr std::string_view kGradient = "gradient ";
    const bool is_gradient = name.starts_with(kGradient);
    const emulsion_tensor& tensor =
        tensor_named(info, is_gradient ? name.substr(kGradient.size()) : name);
    char* block = static_cast<char*>(
        memory.get()->block[is_gradient ? EMULSION_GRADIENTS : tensor.memory_class]);
    return reinterpret_cast<float*>(block + (is_gradient ? tensor.gradient_offset : tensor.offset));
}

Runner::Runner(const emulsion_infer_library& functions, const Trainer& trainer, int threads,
               int variant, const char* device)
    : library(functions),
      info(*functions.info()),
      memory(sizes_of(functions, threads)),
      ports(info) {
    for (int i = 0; i < info.tensor_count; i++) {
        const emulsion_tensor& to = info.tensors[i];
        const emulsion_tensor& from = tensor_named(trainer.info, to.name);
        EXPECT_EQ(to.bytes, from.bytes) << to.name;
        std::memcpy(static_cast<char*>(memory.get()->block[to.memory_class]) + to.offset,
                    trainer.tensor(to.name), to.bytes);
    }
    emulsion_options options = options_of(threads, variant);
    options.device = device;
    EXPECT_EQ(library.bind(memory.instance(), memory.get(), &options), EMULSION_OK)
        << library.error(memory.instance());
    EXPECT_EQ(library.prepare(memory.instance()), EMULSION_OK) << library.error(memory.instance());
}

Runner::~Runner() { library.unbind(memory.instance()); }

void Runner::run(int samples) {
    EXPECT_EQ(library.run(memory.instance(), ports.call(samples)), EMULSION_OK)
        << library.error(memory.instance());
}

const emulsion_tensor& tensor_named(const emulsion_info& info, const std::string& name) {
    for (int i = 0; i < info.tensor_count; i++) {
        if (info.tensors[i].name == name) return info.tensors[i];
    }
    throw std::runtime_error("there is no tensor '" + name + "'");
}

void infer_plainly(const Node& node, const std::vector<const reference::Tensor*>& inputs,
                   std::vector<reference::Tensor>& outputs) {
    for (const char* kind : {"dropout", "spatial_dropout", "gaussian_noise"}) {
        if (node.op->kind() == kind) outputs[0].values = inputs[0]->values;
    }
    if (node.op->kind() != "batch_norm") return;
    const double epsilon = dynamic_cast<const BatchNorm&>(*node.op).epsilon;
    const reference::Tensor& x = *inputs[0];
    const auto channels = static_cast<size_t>(x.type.shape[0]);
    const size_t cells = static_cast<size_t>(element_count(x.type)) / channels;
    for (size_t i = 0; i < x.values.size(); i++) {
        const size_t c = i / cells % channels;
        const double deviation = std::sqrt(inputs[4]->values[c] + epsilon);
        outputs[0].values[i] =
            (x.values[i] - inputs[3]->values[c]) / deviation * inputs[1]->values[c] +
            inputs[2]->values[c];
    }
}

}  // namespace emulsion::test

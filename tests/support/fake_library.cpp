// The functions of the library written by hand. See fake_library.h.
#include "tests/support/fake_library.h"

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstring>
#include <limits>
#include <thread>

#include "tests/support/count_allocations.h"
#include "tests/support/fake_memory.h"

namespace emulsion {

namespace {

int sizes_of(const emulsion_sizes& stated, int threads, emulsion_sizes* sizes) {
    if (threads < 0 || threads > EMULSION_MAX_THREADS) return EMULSION_INVALID_ARGUMENT;
    *sizes = stated;
    sizes->threads = std::max(threads, 1);
    return EMULSION_OK;
}

int train_sizes(int threads, emulsion_sizes* sizes) {
    return sizes_of(fake().train_sizes, threads, sizes);
}
int infer_sizes(int threads, emulsion_sizes* sizes) {
    return sizes_of(fake().infer_sizes, threads, sizes);
}
int train_device(int index, emulsion_device_description* description) {
    return fake_device(index, fake().train_sizes, description);
}
int infer_device(int index, emulsion_device_description* description) {
    return fake_device(index, fake().infer_sizes, description);
}
const emulsion_info* train_info() { return &fake().train; }
const emulsion_info* infer_info() { return &fake().infer; }

int init(uint64_t seed, const emulsion_memory* memory) {
    std::memset(memory->block[EMULSION_PARAMETERS], 0,
                fake().train_sizes.bytes[EMULSION_PARAMETERS]);
    std::memset(memory->block[EMULSION_STATE], 0, fake().train_sizes.bytes[EMULSION_STATE]);
    std::memcpy(memory->block[EMULSION_STATE], &seed, sizeof(seed));
    float* weights = tensor_values(fake().train_tensors[0], *memory);
    if (fake().network.kind == FakeKind::kQuadratic) {
        weights[0] = 1.0f;
        return EMULSION_OK;
    }
    uint64_t bits = seed * 2654435761u + 1;
    for (int o = 0; o < fake().network.classes; o++) {
        for (int e = 0; e < elements(); e++) {
            bits = bits * 6364136223846793005ull + 1442695040888963407ull;
            weights[weight_at(o, e)] =
                static_cast<float>(static_cast<int32_t>(bits >> 32)) * 1e-11f;
        }
    }
    return EMULSION_OK;
}

int bind(void* instance, const emulsion_memory* memory, const emulsion_options* options,
         const emulsion_sizes& sizes) {
    auto* bound = static_cast<FakeInstance*>(instance);
    bound->host = bound->memory = *memory;
    bound->profile = options->profile;
    bound->profile_self = options->profile_self;
    bound->error = fake().hooks.bind_status != 0 ? "the fake refuses to bind" : "";
    if (fake().hooks.bind_status != 0) return fake().hooks.bind_status;
    return open_fake_device(bound, sizes, options->device);
}
int train_bind(void* instance, const emulsion_memory* memory, const emulsion_options* options) {
    fake().train_parameters = memory->block[EMULSION_PARAMETERS];
    return bind(instance, memory, options, fake().train_sizes);
}
int infer_bind(void* instance, const emulsion_memory* memory, const emulsion_options* options) {
    const int status = bind(instance, memory, options, fake().infer_sizes);
    const bool is_copy = memory->block[EMULSION_PARAMETERS] != fake().train_parameters;
    if (status != EMULSION_OK || !fake().hooks.refuses_copies || !is_copy) return status;
    static_cast<FakeInstance*>(instance)->error = "the fake refuses a copy of the parameters";
    return EMULSION_BUSY;
}

const char* error_of(const void* instance) {
    return static_cast<const FakeInstance*>(instance)->error;
}
int unbind(void* instance) {
    close_fake_device(static_cast<FakeInstance*>(instance));
    return EMULSION_OK;
}

void softmax(const float* scores, int classes, float* probabilities) {
    const float most = *std::max_element(scores, scores + classes);
    float sum = 0.0f;
    for (int k = 0; k < classes; k++) sum += probabilities[k] = std::exp(scores[k] - most);
    for (int k = 0; k < classes; k++) probabilities[k] /= sum;
}

void compute_scores(const float* weights, const float* bias, const float* x, float* scores) {
    for (int k = 0; k < fake().network.classes; k++) {
        scores[k] = bias[k];
        for (int e = 0; e < elements(); e++) scores[k] += weights[weight_at(k, e)] * x[e];
    }
}

// Gradients of the mean loss into `gradients`, in the layout of the parameters.
void softmax_gradients(const emulsion_memory& memory, const emulsion_call& call, float* loss,
                       float* correct) {
    const auto& tensors = fake().train_tensors;
    const int classes = fake().network.classes;
    const auto* images = static_cast<const float*>(call.inputs[0]);
    const auto* labels = static_cast<const int32_t*>(call.inputs[1]);
    auto* gradients = static_cast<float*>(memory.block[EMULSION_GRADIENTS]);
    float* bias_gradient = gradients + tensors[1].gradient_offset / sizeof(float);
    std::vector<float> scores(static_cast<size_t>(classes)), delta(scores.size());
    double sum = 0.0;
    for (int n = 0; n < call.samples; n++) {
        const float* x = images + static_cast<size_t>(n) * static_cast<size_t>(elements());
        compute_scores(tensor_values(tensors[0], memory), tensor_values(tensors[1], memory), x,
                       scores.data());
        softmax(scores.data(), classes, delta.data());
        const size_t label = static_cast<size_t>(labels[n]);
        const auto best = std::max_element(scores.begin(), scores.end()) - scores.begin();
        *correct += best == labels[n] ? 1.0f : 0.0f;
        sum -= std::log(std::max(delta[label], 1e-30f));
        if (!std::isfinite(scores[0])) sum = std::numeric_limits<double>::quiet_NaN();
        delta[label] -= 1.0f;
        for (int k = 0; k < classes; k++) {
            const float scaled = delta[static_cast<size_t>(k)] / static_cast<float>(call.samples);
            bias_gradient[k] += scaled;
            for (int e = 0; e < elements(); e++) gradients[weight_at(k, e)] += scaled * x[e];
        }
    }
    *loss = static_cast<float>(sum / call.samples);
}

void quadratic_gradients(const emulsion_memory& memory, const emulsion_call& call, float* loss) {
    const auto* images = static_cast<const float*>(call.inputs[0]);
    const float w = tensor_values(fake().train_tensors[0], memory)[0];
    float sum = 0.0f, gradient = 0.0f;
    for (int n = 0; n < call.samples; n++) {
        sum += 0.5f * (w - images[n]) * (w - images[n]);
        gradient += w - images[n];
    }
    *loss = sum / static_cast<float>(call.samples);
    *static_cast<float*>(memory.block[EMULSION_GRADIENTS]) =
        gradient / static_cast<float>(call.samples);
}

int forward_backward(void* instance, const emulsion_call* call) {
    const emulsion_memory& memory = static_cast<FakeInstance*>(instance)->memory;
    std::memset(memory.block[EMULSION_WORKSPACE], 1, fake().network.workspace_bytes);
    std::memset(memory.block[EMULSION_GRADIENTS], 0, fake().train_sizes.bytes[EMULSION_GRADIENTS]);
    float loss = 0.0f, correct = 0.0f;
    if (fake().network.kind == FakeKind::kSoftmax)
        softmax_gradients(memory, *call, &loss, &correct);
    if (fake().network.kind == FakeKind::kQuadratic) quadratic_gradients(memory, *call, &loss);
    *static_cast<float*>(call->outputs[0]) = loss;
    if (!std::isfinite(loss)) return EMULSION_NOT_FINITE;
    const bool has_labels = fake().network.train_inputs > 1;
    const auto* labels = has_labels ? static_cast<const int32_t*>(call->inputs[1]) : nullptr;
    const auto first_class = has_labels ? std::count(labels, labels + call->samples, 0) : 0;
    for (size_t h = 0; h < fake().network.heads.size(); h++) {
        *static_cast<float*>(call->outputs[1 + h]) =
            h == 0 ? correct : static_cast<float>(first_class);
    }
    const size_t losses = fake().network.losses.size();
    for (size_t i = 0; i < losses; i++) {
        *static_cast<float*>(call->outputs[1 + fake().network.heads.size() + i]) =
            loss * 2 * static_cast<float>(i + 1) / static_cast<float>(losses * (losses + 1));
    }
    if (fake().network.kind == FakeKind::kSoftmax) {
        float* mean = tensor_values(fake().train_tensors[2], memory);
        *mean += 0.1f * (loss - *mean);
    }
    return EMULSION_OK;
}

// What the hooks ask for in the step that is being finished.
void obey_hooks(const emulsion_memory& memory, int64_t step) {
    const FakeHooks& hooks = fake().hooks;
    constexpr size_t kSmall =
        512;  // bytes, which messages take and the head of a checkpoint passes
    if (hooks.hungry_step > 0) refuse_blocks_from(hooks.hungry_step == step ? kSmall : 0);
    if (hooks.infinite_step == step) {
        tensor_values(fake().train_tensors[0], memory)[0] = std::numeric_limits<float>::infinity();
    }
    if (hooks.seconds_per_step > 0)
        std::this_thread::sleep_for(std::chrono::duration<double>(hooks.seconds_per_step));
    for (int i = 0; hooks.signal_step == step && i < hooks.signal_count; i++) {
        if (i > 0) std::this_thread::sleep_for(std::chrono::duration<double>(hooks.signal_pause));
        std::raise(hooks.signal);
    }
}

int update(void* instance, float learning_rate) {
    const emulsion_memory& memory = static_cast<FakeInstance*>(instance)->memory;
    const auto* gradients = static_cast<const float*>(memory.block[EMULSION_GRADIENTS]);
    for (const emulsion_tensor& tensor : fake().train_tensors) {
        if (tensor.trained == 0) continue;
        float* values = tensor_values(tensor, memory);
        const emulsion_tensor& first = fake().train_tensors[fake().first_velocity];
        float* velocity = tensor_values(first, memory) + tensor.offset / sizeof(float);
        const float* gradient = gradients + tensor.gradient_offset / sizeof(float);
        for (size_t i = 0; i < tensor.bytes / sizeof(float); i++) {
            velocity[i] = fake().network.momentum * velocity[i] + gradient[i];
            values[i] -= learning_rate * velocity[i];
        }
    }
    const emulsion_memory& host = static_cast<FakeInstance*>(instance)->host;
    auto* counts = static_cast<uint64_t*>(host.block[EMULSION_STATE]);
    obey_hooks(memory, static_cast<int64_t>(++counts[1]));
    return EMULSION_OK;
}

int step(void* instance, const emulsion_call* call, float learning_rate) {
    auto* bound = static_cast<FakeInstance*>(instance);
    const int ready = check_fake_device(bound);
    if (ready != EMULSION_OK) return ready;
    if (const int before = fake_wait(instance); before != EMULSION_OK) return before;
    keep_fake_outputs(bound, *call);
    if (bound->profile != nullptr) {
        bound->profile(bound->profile_self, 0, 2e-6 * call->samples);
        bound->profile(bound->profile_self, 1, 1e-6);
    }
    int status = forward_backward(instance, call);
    if (status == EMULSION_OK) status = update(instance, learning_rate);
    return end_fake_step(bound, *call, status);
}

int prepare(void* instance) {
    for (int c : {EMULSION_PARAMETERS, EMULSION_STATE}) fake_upload(instance, c);
    const emulsion_memory& memory = static_cast<FakeInstance*>(instance)->memory;
    std::memcpy(memory.block[EMULSION_PREPARED], memory.block[EMULSION_PARAMETERS],
                fake().infer_sizes.bytes[EMULSION_PREPARED]);
    return EMULSION_OK;
}

int run(void* instance, const emulsion_call* call) {
    auto* bound = static_cast<FakeInstance*>(instance);
    const emulsion_memory& memory = bound->memory;
    if (fake().runs + 1 == fake().hooks.failing_run) {
        fake().runs++;
        bound->error = "the fake refuses to run";
        return EMULSION_BUSY;
    }
    if (++fake().runs == fake().hooks.signal_run) std::raise(fake().hooks.signal);
    if (bound->profile != nullptr) {
        bound->profile(bound->profile_self, 0, 3e-6);
        bound->profile(bound->profile_self, 1, 1e-6);
    }
    const FakeNetwork& network = fake().network;
    const auto* images = static_cast<const float*>(call->inputs[0]);
    auto* scores = static_cast<float*>(call->outputs[0]);
    const auto classes = static_cast<size_t>(network.classes);
    for (size_t h = 1; h < network.heads.size(); h++) {
        auto* others = static_cast<float*>(call->outputs[h]);
        for (size_t i = 0; i < static_cast<size_t>(call->samples) * classes; i++)
            others[i] = i % classes == 0 ? 1.0f : 0.0f;
    }
    const auto* prepared = static_cast<const float*>(memory.block[EMULSION_PREPARED]);
    for (int n = 0; n < call->samples; n++, images += elements(), scores += network.classes) {
        if (network.kind == FakeKind::kQuadratic) {
            scores[0] = prepared[fake().infer_tensors[0].offset / sizeof(float)];
            scores[1] = images[0];
            continue;
        }
        const auto values = [&](int i) {
            return prepared + fake().infer_tensors[static_cast<size_t>(i)].offset / sizeof(float);
        };
        compute_scores(values(0), values(1), images, scores);
        if (network.score_name == "probabilities") softmax(scores, network.classes, scores);
        if (fake().hooks.has_nan_scores) scores[0] = std::numeric_limits<float>::quiet_NaN();
    }
    return EMULSION_OK;
}

}  // namespace

const emulsion_train_library& fake_train_library() {
    static const emulsion_train_library library{
        train_info, train_sizes,   train_device,     fake_speed, init,
        train_bind, fake_upload,   forward_backward, update,     step,
        fake_wait,  fake_download, error_of,         unbind};
    return library;
}

const emulsion_infer_library& fake_infer_library() {
    static const emulsion_infer_library library{infer_info, infer_sizes, infer_device, fake_speed,
                                                prepare,    infer_bind,  run,          fake_wait,
                                                error_of,   unbind};
    return library;
}

}  // namespace emulsion

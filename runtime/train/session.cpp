// See session.h.
#include "runtime/train/session.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

int largest_batch(const emulsion_train_library& library, const Device& device) {
    const int64_t batch = library.info()->batch;
    const bool has_parts = library.forward_backward != nullptr && device.is_processor();
    return static_cast<int>(has_parts ? std::min<int64_t>(batch * kMostParts, INT32_MAX) : batch);
}

TrainingSession::TrainingSession(const emulsion_train_library& library, const emulsion_info& infer,
                                 int threads, const Device& device)
    : library_(library),
      info_(*library.info()),
      threads_(threads),
      device_(device),
      blocks_(query_sizes(library, threads, device)) {
    find_inputs(infer);
    find_outputs();
}

TrainingSession::~TrainingSession() {
    if (is_bound_) library_.unbind(blocks_.instance());
}

namespace {

std::string describe(const emulsion_port& port) {
    const char* contents = "numbers";
    if (port.type == EMULSION_I32) {
        contents = port.rank == 0                        ? "class indices"
                   : port.rank > 1 && port.shape[0] == 1 ? "a class index for each position"
                                                         : "indices";
    }
    if (port.distribution != 0) contents = "distributions over classes";
    return concat(quoted(port.name), " (", contents, ")");
}

// What the port is trained towards; nothing where it is fed with something else.
std::optional<TargetForm> target_of(const emulsion_port& port) {
    TargetForm target = target_form(port);
    if (port.batched != 1 || port.distribution != 0) return std::nullopt;
    if (port.type == EMULSION_I32 && port.rank == 0) return target;
    if (port.type == EMULSION_I32 && port.rank > 1 && port.shape[0] == 1) {
        target.kind = TargetKind::kMap;
        if (port.ignored != 0) target.ignored = port.ignored;
        return target;
    }
    if (port.type != EMULSION_F32 || port.rank == 0) return std::nullopt;
    target.kind = TargetKind::kNumbers;
    return target;
}

}  // namespace

// What inference reads is given; what is left is trained towards.
void TrainingSession::find_inputs(const emulsion_info& infer) {
    shape_ = first_input(infer);
    extras_ = extra_inputs(infer);
    extra_places_.resize(extras_.size());
    std::vector<std::string_view> missing;
    for (int i = 0; i < infer.input_count; i++) missing.push_back(infer.inputs[i].name);
    int targets = 0;
    std::string others;  // than those and the first target
    for (int i = 0; i < info_.input_count; i++) {
        const emulsion_port& port = info_.inputs[i];
        const auto own = std::find_if(extras_.begin(), extras_.end(), [&](const ExtraInput& extra) {
            return extra.name == port.name;
        });
        const std::optional<TargetForm> target = target_of(port);
        std::erase(missing, port.name);
        if (infer.inputs[0].name == std::string_view(port.name)) {
            picture_input_ = i;
        } else if (own != extras_.end()) {
            extra_places_[static_cast<size_t>(own - extras_.begin())] = i;
        } else if (target && targets == 0) {
            targets = 1;
            label_input_ = i;
            target_ = *target;
        } else {
            others += concat(others.empty() ? " " : ", ", describe(port));
        }
    }
    std::string fault;
    if (!missing.empty()) fault = concat("reads ", quoted(missing[0]), " in inference alone");
    if (!others.empty()) fault = concat("also reads", others);
    if (!fault.empty()) {
        throw RuntimeError(info_.network,
                           concat("this program feeds what inference reads and what it is trained "
                                  "towards, a class index, one for each pixel, numbers, or "
                                  "nothing, but the network ",
                                  fault),
                           "call the training library from a program of your own");
    }
    if (targets == 0) target_.kind = TargetKind::kNothing;
    inputs_.resize(static_cast<size_t>(info_.input_count));
}

void TrainingSession::find_outputs() {
    loss_output_ = -1;
    heads_ = find_heads(info_, "correct");
    for (const Head& head : heads_) counts_.push_back({head.name});
    for (const Head& head : find_heads(info_, "loss")) {
        if (head.name.empty()) continue;
        loss_heads_.push_back(head);
        losses_.push_back({head.name});
    }
    for (int i = 0; i < info_.output_count; i++) {
        const emulsion_port& port = info_.outputs[i];
        const std::string_view name = port.name;
        if (name == "loss" && port.type == EMULSION_F32) loss_output_ = i;
        const uint64_t count = port.batched ? static_cast<uint64_t>(info_.batch) : 1;
        outputs_.push_back(allocate_aligned(port.bytes * count));
        output_pointers_.push_back(outputs_.back().get());
    }
    if (loss_output_ < 0) {
        throw RuntimeError(info_.network, "has no output 'loss' of type f32",
                           "build the network with a loss, such as m.classify(scores)");
    }
}

void TrainingSession::check(int status, const char* action) const {
    if (status != EMULSION_OK)
        refuse_call(info_, action, status, library_.error(blocks_.instance()));
}

void TrainingSession::initialize(uint64_t seed) {
    check(library_.init(seed, &blocks_.memory()), "init");
}

float* TrainingSession::state_number(const char* name) const {
    for (int i = 0; i < info_.tensor_count; i++) {
        const emulsion_tensor& tensor = info_.tensors[i];
        if (tensor.memory_class != EMULSION_STATE || tensor.rank != 0) continue;
        if (std::string_view(tensor.name) != name) continue;
        auto* state = static_cast<char*>(memory().block[EMULSION_STATE]);
        return reinterpret_cast<float*>(state + tensor.offset);
    }
    return nullptr;
}

void TrainingSession::bind(int variant, KernelProfile* profile) {
    emulsion_options options{};
    options.threads = threads_;
    options.variant = variant;
    profile_ = profile;
    if (profile != nullptr) options.profile = &KernelProfile::record;
    options.profile_self = profile;
    options.device = device_.option.c_str();
    check(library_.bind(blocks_.instance(), &blocks_.memory(), &options), "bind");
    is_bound_ = true;
    for (int c : {EMULSION_PARAMETERS, EMULSION_STATE})
        check(library_.upload(blocks_.instance(), c), "upload");
}

void TrainingSession::fetch() {
    for (int c : {EMULSION_PARAMETERS, EMULSION_STATE})
        check(library_.download(blocks_.instance(), c), "download");
}

// Where each kernel is measured, nothing runs beside it.
StepResult TrainingSession::step(const Batch& batch, float learning_rate) {
    if (batch.samples > info_.batch) return step_in_parts(batch, learning_rate);
    inputs_[static_cast<size_t>(picture_input_)] = batch.images;
    if (has_target()) inputs_[static_cast<size_t>(label_input_)] = batch.labels;
    for (size_t k = 0; k < extras_.size(); k++)
        inputs_[static_cast<size_t>(extra_places_[k])] = batch.extras[k];
    const bool later = !device_.is_processor() && profile_ == nullptr;
    const emulsion_call call{batch.samples, later ? 1 : 0, inputs_.data(), output_pointers_.data()};
    if (profile_ != nullptr) profile_->begin_call();
    const int status = library_.step(blocks_.instance(), &call, learning_rate);
    if (profile_ != nullptr && status == EMULSION_OK) profile_->end_call(batch.samples);
    const bool has_result = !later || is_under_way_;
    const int samples = is_under_way_ ? samples_under_way_ : batch.samples;
    is_under_way_ = later && status == EMULSION_OK;
    samples_under_way_ = batch.samples;
    if (has_result) return read_result(status, "step", samples);
    check(status, "step");
    return {};
}

// The step's number, which dropout draws by, gets the part's in its upper bits.
StepResult TrainingSession::step_in_parts(const Batch& batch, float learning_rate) {
    constexpr int kPartShift = 48;
    uint64_t& number = static_cast<uint64_t*>(memory().block[EMULSION_STATE])[1];
    const uint64_t step = number;
    std::vector<HeadCount> counts = counts_;
    for (HeadCount& count : counts) count.correct = 0.0;
    std::vector<NamedLoss> losses = losses_;
    for (NamedLoss& each : losses) each.value = 0.0;
    double loss = 0.0;
    gradients_.assign(sizes().bytes[EMULSION_GRADIENTS] / sizeof(float), 0.0f);
    uint64_t part = 0;
    for (int begin = 0; begin < batch.samples; begin += info_.batch, part++) {
        const int samples = std::min(info_.batch, batch.samples - begin);
        copy_part(batch, begin, samples);
        number = step | part << kPartShift;
        const emulsion_call call{samples, 0, inputs_.data(), output_pointers_.data()};
        const StepResult result = read_result(library_.forward_backward(blocks_.instance(), &call),
                                              "forward_backward", samples);
        if (result.fault != nullptr) {
            number = step;
            return result;
        }
        const double share = static_cast<double>(samples) / batch.samples;
        loss += share * result.loss;
        for (size_t i = 0; i < counts.size(); i++) counts[i].correct += counts_[i].correct;
        for (size_t i = 0; i < losses.size(); i++) losses[i].value += share * losses_[i].value;
        add_gradients(static_cast<float>(share));
    }
    std::memcpy(memory().block[EMULSION_GRADIENTS], gradients_.data(),
                gradients_.size() * sizeof(float));
    check(library_.update(blocks_.instance(), learning_rate), "update");
    number = step + 1;
    counts_ = std::move(counts);
    losses_ = std::move(losses);
    return {true, nullptr, loss, counts_, losses_};
}

void TrainingSession::copy_part(const Batch& batch, int begin, int samples) {
    const auto first = static_cast<size_t>(begin), count = static_cast<size_t>(samples),
               most = static_cast<size_t>(info_.batch);
    const size_t bytes = info_.inputs[picture_input_].bytes;
    const uint64_t targets = target_.elements();
    if (!part_pictures_) {
        part_pictures_ = allocate_aligned(most * bytes);
        part_labels_ = allocate_aligned(most * targets * sizeof(int32_t));
        for (const ExtraInput& extra : extras_)
            part_extras_.push_back(allocate_aligned(most * extra.elements() * sizeof(int32_t)));
    }
    std::memcpy(part_pictures_.get(), batch.images + first * (bytes / sizeof(float)),
                count * bytes);
    std::memcpy(part_labels_.get(), batch.labels + first * targets,
                count * targets * sizeof(int32_t));
    inputs_[static_cast<size_t>(picture_input_)] = part_pictures_.get();
    if (has_target()) inputs_[static_cast<size_t>(label_input_)] = part_labels_.get();
    for (size_t k = 0; k < extras_.size(); k++) {
        const uint64_t elements = extras_[k].elements();
        std::memcpy(part_extras_[k].get(), batch.extras[k] + first * elements,
                    count * elements * sizeof(int32_t));
        inputs_[static_cast<size_t>(extra_places_[k])] = part_extras_[k].get();
    }
}

// In the order of the parts, so that the sum has the same bits whatever the threads.
void TrainingSession::add_gradients(float weight) {
    const auto* part = static_cast<const float*>(memory().block[EMULSION_GRADIENTS]);
    for (size_t i = 0; i < gradients_.size(); i++) gradients_[i] += weight * part[i];
}

StepResult TrainingSession::wait() {
    if (!is_under_way_) return {};
    is_under_way_ = false;
    return read_result(library_.wait(blocks_.instance()), "wait", samples_under_way_);
}

// Of a map the share of its pixels that count, times the pictures, as Metrics takes it.
double TrainingSession::read_correct(const Head& head, int samples) const {
    const double correct = read_output(head.output);
    if (target_.kind != TargetKind::kMap) return correct;
    double pixels = static_cast<double>(target_.elements()) * samples;
    const std::string name = concat(head.name, head.name.empty() ? "" : ".", "counted");
    for (int i = 0; i < info_.output_count; i++) {
        if (info_.outputs[i].name == name) pixels = read_output(i);
    }
    return pixels > 0 ? correct / pixels * samples : 0.0;
}

StepResult TrainingSession::read_result(int status, const char* action, int samples) {
    StepResult result;
    result.is_there = true;
    if (status == EMULSION_NOT_FINITE) {
        result.fault = std::isfinite(read_output(loss_output_)) ? "a gradient is NaN or infinite"
                                                                : "the loss is NaN or infinite";
        return result;
    }
    check(status, action);
    result.loss = read_output(loss_output_);
    for (size_t i = 0; i < heads_.size(); i++)
        counts_[i].correct = read_correct(heads_[i], samples);
    for (size_t i = 0; i < losses_.size(); i++)
        losses_[i].value = read_output(loss_heads_[i].output);
    result.correct = counts_;
    result.losses = losses_;
    return result;
}

double TrainingSession::read_output(int index) const {
    return *static_cast<const float*>(outputs_[static_cast<size_t>(index)].get());
}

int TrainingSession::label_classes() const {
    const int classes = has_target() ? info_.inputs[label_input_].classes : 0;
    return classes > 0 ? classes : INT32_MAX;
}

void TrainingSession::release_workspace() {
    if (is_bound_) library_.unbind(blocks_.instance());
    is_bound_ = false;
    for (emulsion_class c :
         {EMULSION_GRADIENTS, EMULSION_PREPARED, EMULSION_WORKSPACE, EMULSION_INSTANCE}) {
        blocks_.release(c);
    }
}

}  // namespace emulsion

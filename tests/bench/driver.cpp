// Times one generated library through its C interface and prints one line
//     emulsion,version,net,mode,batch,threads,metric,value,unit,peak_rss_mib
//
// tests/bench/run compiles this file for each library, with
//     NETWORK  the prefix of the library's functions (lenet_train)
//     HEADER   its header ("lenet_train.h")
//     TRAINS   1 for a training library, 0 for an inference library
// Work and timing are those of tests/bench/peers/README.md: random data in memory; three warm-up
// steps, then five windows of at least 0.6 s; latency (inference of one sample) has five warm-up
// runs, then single runs for 2 s, at least ten. With --kernels it prints a line for each kernel's
// call instead, `kernel,STAGE NAME RECIPE TILING,MICROSECONDS`: the median over the steps of a
// second, at least ten. --seconds S measures for S seconds in all.
//
// With --device it runs on that device of the library's; each step's inputs come from the host, and
// its outputs are written while the next one runs, but for those of a latency. Exit code 77: the
// device is not there.
//
// --check times nothing: it compares one step on the device with one on the processor, of 1 sample
// and of BATCH: in training the loss and each gradient, in inference each output. Each is a vector;
// that of the device is right where its distance from the processor's is within 1e-4 of the
// latter's length, or within 10 times that of the processor with weights rounded otherwise, by a
// unit in their last place. Prints one line, "checked: ...", or one for each fault and exits
// with 1.
#include HEADER

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#define JOIN_TEXT(a, b) a##_##b
#define JOIN(a, b) JOIN_TEXT(a, b)
#define CALL(function) JOIN(NETWORK, function)

#if TRAINS
// A library built with --update=at-once has none.
extern "C" int CALL(forward_backward)(void*, const emulsion_call*) __attribute__((weak));
#endif

namespace {

constexpr int kSkipped = 77;
constexpr double kTolerance = 1e-4;      // of the length of what the processor computes
constexpr double kTimesRounding = 10.0;  // of what other rounding makes of it

struct Options {
    std::string net, device = "cpu";
    int batch = 0, threads = 1, awake = 0, pin = 0, kernels = 0, check = 0;
    double seconds = 0;  // of a measurement; 0: 3 for throughput, 2 for latency, 1 for kernels
    bool is_on_processor() const { return device == "cpu"; }
};

double seconds() {
    using Clock = std::chrono::steady_clock;
    return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

[[noreturn]] void stop(const std::string& message) {
    std::fprintf(stderr, "bench: %s\n", message.c_str());
    std::exit(1);
}

// As the programs do (runtime/program/memory.cpp): where it holds a huge page, of such.
void* allocate(uint64_t bytes) {
    constexpr uint64_t kHugePage = uint64_t(2) << 20;
    if (bytes == 0) return nullptr;
    const uint64_t unit = bytes >= kHugePage ? kHugePage : 4096;
    const uint64_t rounded = (bytes + unit - 1) / unit * unit;
    void* block = std::aligned_alloc(unit, rounded);
    if (!block) stop("out of memory for " + std::to_string(bytes) + " bytes");
    if (unit == kHugePage) madvise(block, bytes, MADV_HUGEPAGE);
    std::memset(block, 0, bytes);
    return block;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    size_t middle = values.size() / 2;
    return values.size() % 2 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
}

// A result of a step.
struct Named {
    std::string name;
    std::vector<float> values;
};

// Whether value i of a tensor in memory lies behind the last channel of its last block.
bool is_padding(const emulsion_tensor& tensor, uint64_t i) {
    if (tensor.rank == 0) return false;
    const auto channels = (uint64_t)tensor.shape[0];
    const uint64_t block = tensor.bytes / 4 / ((channels + 15) / 16);
    return i / block * 16 + i % 16 >= channels;
}

// One bound instance of the library with random inputs in memory.
class Instance {
  public:
    explicit Instance(const Options& options)
        : info_(CALL(info)()), later_(!options.is_on_processor() && !options.kernels) {
        if (options.batch < 1 || options.batch > info_->batch)
            stop("batch " + std::to_string(options.batch) + " is not in 1.." +
                 std::to_string(info_->batch));
        check(CALL(sizes)(options.threads, &memory_.sizes));
        for (int c : {EMULSION_PREPARED, EMULSION_WORKSPACE})
            if (!options.is_on_processor()) memory_.sizes.bytes[c] = 0;
        for (int c = 0; c < EMULSION_CLASSES; c++)
            memory_.block[c] = allocate(memory_.sizes.bytes[c]);
        instance_ = memory_.block[EMULSION_INSTANCE];
        initialize();
        emulsion_options settings = {};
        settings.device = options.device.c_str();
        settings.threads = options.threads;
        settings.stay_awake = options.awake;
        settings.pin = options.pin;
        if (options.kernels) {
            kernels_.resize(static_cast<size_t>(info_->kernel_count));
            settings.profile_self = &kernels_;
            settings.profile = [](void* self, int kernel, double seconds) {
                (*(std::vector<std::vector<double>>*)self)[kernel].push_back(seconds);
            };
        }
        check(CALL(bind)(instance_, &memory_, &settings));
        give_values();
        fill_ports(options.batch);
    }
    ~Instance() {
        CALL(unbind)(instance_);
        for (void* block : memory_.block) std::free(block);
        for (void* block : inputs_) std::free(block);
        for (void* block : outputs_) std::free(block);
    }
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;

    // Ends with the outputs under way on a device.
    void step() {
        call_.later = later_;
#if TRAINS
        check(CALL(step)(instance_, &call_, 0.001f));
#else
        check(CALL(run)(instance_, &call_));
#endif
    }

    // Until the outputs of all steps are there.
    void wait() { check(CALL(wait)(instance_)); }

    // Moves each weight by a unit in its last place, up or down.
    void round_otherwise() {
        std::minstd_rand random(1);
        for (int t = 0; t < info_->tensor_count; t++) {
            const emulsion_tensor& tensor = info_->tensors[t];
            if (tensor.memory_class != EMULSION_PARAMETERS || tensor.type != EMULSION_F32) continue;
            float* values = values_of(tensor);
            for (uint64_t i = 0; i < tensor.bytes / 4; i++) {
                if (is_padding(tensor, i)) continue;
                values[i] = std::nextafter(values[i], random() % 2 == 0 ? 1e30f : -1e30f);
            }
        }
        give_values();
    }

    // What a step of so many samples computes.
    std::vector<Named> results(int samples) {
        call_.samples = samples;
        call_.later = 0;
        std::vector<Named> results;
#if TRAINS
        if (CALL(forward_backward) == nullptr)
            stop("--check compares gradients; fix: build without --update=at-once");
        check(CALL(forward_backward)(instance_, &call_));
        check(CALL(download)(instance_, EMULSION_GRADIENTS));
        for (int t = 0; t < info_->tensor_count; t++) {
            const emulsion_tensor& tensor = info_->tensors[t];
            if (!tensor.trained) continue;
            const char* block = (const char*)memory_.block[EMULSION_GRADIENTS];
            results.push_back(named("gradient of '" + std::string(tensor.name) + "'",
                                    block + tensor.gradient_offset, tensor.bytes));
        }
#else
        check(CALL(run)(instance_, &call_));
#endif
        for (int i = 0; i < info_->output_count; i++) {
            const emulsion_port& port = info_->outputs[i];
            const bool is_compared = TRAINS ? !std::strcmp(port.name, "loss") : 1;
            if (port.type != EMULSION_F32 || !is_compared) continue;
            results.push_back(named("'" + std::string(port.name) + "'", outputs_[(size_t)i],
                                    port.bytes * (uint64_t)(port.batched ? samples : 1)));
        }
        return results;
    }

    const char* version() const { return info_->version; }

    // Those of the steps since the last call of forget_kernels().
    void print_kernels() const {
        for (size_t k = 0; k < kernels_.size(); k++) {
            if (kernels_[k].empty()) continue;  // of another variant or batch
            std::printf("kernel,%s,%.5g\n", info_->kernels[k], 1e6 * median(kernels_[k]));
        }
    }
    void forget_kernels() {
        for (std::vector<double>& times : kernels_) times.clear();
    }

  private:
    void check(int status) {
        if (!status) return;
        const std::string text = CALL(error)(instance_);
        if (status == EMULSION_UNSUPPORTED_DEVICE) {
            std::fprintf(stderr, "bench: %s\n", text.c_str());
            std::exit(kSkipped);
        }
        stop("status " + std::to_string(status) + ": " + text);
    }

    static Named named(std::string name, const void* values, uint64_t bytes) {
        const float* first = (const float*)values;
        return {std::move(name), std::vector<float>(first, first + bytes / 4)};
    }

    float* values_of(const emulsion_tensor& tensor) const {
        return (float*)((char*)memory_.block[tensor.memory_class] + tensor.offset);
    }

    // Lets the kernels see parameters and state.
    void give_values() {
#if TRAINS
        check(CALL(upload)(instance_, EMULSION_PARAMETERS));
        check(CALL(upload)(instance_, EMULSION_STATE));
#else
        check(CALL(prepare)(instance_));
#endif
    }

    // Parameters: the library's own start in training. In inference random ones that keep maps
    // within the range of their inputs: filters of length 1, and about 1 for scales, offsets and
    // statistics.
    void initialize() {
#if TRAINS
        check(CALL(init)(1, &memory_));
#else
        std::mt19937 random(1);
        std::normal_distribution<float> normal;
        for (int t = 0; t < info_->tensor_count; t++) {
            const emulsion_tensor& tensor = info_->tensors[t];
            if (tensor.type != EMULSION_F32) continue;
            float length = 1;
            for (int d = 1; d < tensor.rank; d++) length *= (float)tensor.shape[d];
            const bool is_filter = tensor.rank > 1;
            for (uint64_t i = 0; i < tensor.bytes / 4; i++) {
                if (is_padding(tensor, i)) continue;
                const float value = normal(random);
                values_of(tensor)[i] = is_filter ? value / std::sqrt(length) : 1 + 0.05f * value;
            }
        }
#endif
    }

    void fill_ports(int batch) {
        std::mt19937 random(2);
        std::normal_distribution<float> normal;
        for (int i = 0; i < info_->input_count; i++) {
            const emulsion_port& port = info_->inputs[i];
            std::uniform_int_distribution<int> label(0, std::max(port.classes, 1) - 1);
            uint64_t bytes = port.bytes * (port.batched ? batch : 1);
            inputs_.push_back(allocate(bytes));
            float* floats = (float*)inputs_.back();
            int32_t* integers = (int32_t*)inputs_.back();
            for (uint64_t e = 0; e < bytes / 4; e++) {
                if (port.type == EMULSION_F32) floats[e] = normal(random);
                if (port.distribution != 0) floats[e] = 1.0f / (float)port.shape[0];
                if (port.type == EMULSION_I32) integers[e] = label(random);
            }
        }
        for (int i = 0; i < info_->output_count; i++) {
            const emulsion_port& port = info_->outputs[i];
            outputs_.push_back(allocate(port.bytes * (port.batched ? batch : 1)));
        }
        call_ = {};
        call_.samples = batch;
        call_.inputs = (const void* const*)inputs_.data();
        call_.outputs = outputs_.data();
    }

    const emulsion_info* info_;
    const bool later_;
    emulsion_memory memory_ = {};
    void* instance_ = nullptr;
    std::vector<void*> inputs_, outputs_;
    std::vector<std::vector<double>> kernels_;  // seconds of each call, if asked for
    emulsion_call call_ = {};
};

// Seconds of one step: the median of five windows, which take so long together, at least.
double throughput_seconds(Instance& instance, double duration) {
    auto run = [&](long count) {
        const double start = seconds();
        for (long i = 0; i < count; i++) instance.step();
        instance.wait();
        return (seconds() - start) / double(count);
    };
    run(2);
    const long count = std::max(1L, std::lround(duration / 5 / run(1)));
    std::vector<double> windows;
    for (int w = 0; w < 5; w++) windows.push_back(run(count));
    return median(windows);
}

std::vector<double> times_for(double duration, Instance& instance) {
    std::vector<double> times;
    double end = seconds() + duration;
    while (times.size() < 10 || seconds() < end) {
        double start = seconds();
        instance.step();
        instance.wait();
        times.push_back(seconds() - start);
    }
    return times;
}

double latency_seconds(Instance& instance, double duration) {
    for (int i = 0; i < 5; i++) instance.step();
    return median(times_for(duration, instance));
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); i++) {
        const double off = a[i] - b[i];
        sum += off * off;
    }
    return std::sqrt(sum);
}

// Compares the device with the processor; returns the exit code.
int check(const Options& options) {
    Options here = options;
    here.device = "cpu";
    Instance device(options), processor(here), rounded(here);
    rounded.round_otherwise();
    int faults = 0, compared = 0;
    double worst = 0;
    std::string which = "none";
    for (int samples : {1, options.batch}) {
        const std::vector<Named> right = processor.results(samples);
        const std::vector<Named> other = rounded.results(samples), actual = device.results(samples);
        for (size_t i = 0; i < right.size(); i++, compared++) {
            const std::vector<float>& values = right[i].values;
            const double length = distance(values, std::vector<float>(values.size()));
            const double off = distance(actual[i].values, values);
            const double rounding = distance(other[i].values, values);
            const std::string name = right[i].name + ", batch " + std::to_string(samples);
            if (!(off <= std::max(kTolerance * length, kTimesRounding * rounding))) {
                std::printf("FAULT: %s: %.1e of its length off, %.1e by other rounding\n",
                            name.c_str(), off / length, rounding / length);
                faults++;
            }
            if (off > worst * length) worst = off / length, which = name;
        }
    }
    if (faults > 0) return 1;
    std::printf(
        "checked: %s, %s, batch %d on %s: %d results are the processor's; worst: %s, %.1e off\n",
        options.net.c_str(), TRAINS ? "training" : "inference", options.batch,
        options.device.c_str(), compared, which.c_str(), worst);
    return 0;
}

Options parse(int argc, char** argv) {
    Options options;
    if (argc < 4)
        stop(
            "usage: driver NET BATCH THREADS [--device D] [--check] [--awake] [--pin] [--kernels] "
            "[--seconds S]");
    options.net = argv[1];
    options.batch = std::atoi(argv[2]);
    options.threads = std::atoi(argv[3]);
    for (int i = 4; i < argc; i++) {
        if (!std::strcmp(argv[i], "--awake"))
            options.awake = 1;
        else if (!std::strcmp(argv[i], "--pin"))
            options.pin = 1;
        else if (!std::strcmp(argv[i], "--kernels"))
            options.kernels = 1;
        else if (!std::strcmp(argv[i], "--check"))
            options.check = 1;
        else if (!std::strcmp(argv[i], "--device") && i + 1 < argc)
            options.device = argv[++i];
        else if (!std::strcmp(argv[i], "--seconds") && i + 1 < argc)
            options.seconds = std::atof(argv[++i]);
        else
            stop(std::string("unknown option '") + argv[i] + "'");
    }
    return options;
}

}  // namespace

int main(int argc, char** argv) {
    Options options = parse(argc, argv);
    if (options.check) return check(options);
    Instance instance(options);
    if (options.kernels) {
        for (int i = 0; i < 3; i++) instance.step();
        instance.forget_kernels();
        times_for(options.seconds > 0 ? options.seconds : 1, instance);
        instance.print_kernels();
        return 0;
    }
    bool is_latency = !TRAINS && options.batch == 1;
    const double duration = options.seconds > 0 ? options.seconds : is_latency ? 2 : 3;
    double value = is_latency ? 1e3 * latency_seconds(instance, duration)
                              : options.batch / throughput_seconds(instance, duration);
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    const std::string where = options.is_on_processor() ? "" : "_" + options.device;
    std::printf("emulsion%s%s,%s,%s,%s,%d,%d,%s,%.5g,%s,%.0f\n", where.c_str(),
                options.awake ? "_awake" : "", instance.version(), options.net.c_str(),
                TRAINS ? "train" : "infer", options.batch, options.threads,
                is_latency ? "latency_median" : "throughput_median", value,
                is_latency ? "ms" : "img/s", double(usage.ru_maxrss) / 1024);
    return 0;
}

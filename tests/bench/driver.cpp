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
// second, at least ten.
#include HEADER

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

namespace {

struct Options {
    std::string net;
    int batch = 0, threads = 1, awake = 0, pin = 0, kernels = 0;
};

double seconds() {
    using Clock = std::chrono::steady_clock;
    return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

[[noreturn]] void stop(const std::string& message) {
    std::fprintf(stderr, "bench: %s\n", message.c_str());
    std::exit(1);
}

void* allocate(uint64_t bytes) {
    if (bytes == 0) return nullptr;
    void* block = std::aligned_alloc(EMULSION_ALIGNMENT, (bytes + 4095) / 4096 * 4096);
    if (!block) stop("out of memory for " + std::to_string(bytes) + " bytes");
    std::memset(block, 0, bytes);
    return block;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    size_t middle = values.size() / 2;
    return values.size() % 2 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
}

// One bound instance of the library with random inputs in memory.
class Instance {
  public:
    explicit Instance(const Options& options) : info_(CALL(info)()) {
        if (options.batch < 1 || options.batch > info_->batch)
            stop("batch " + std::to_string(options.batch) + " is not in 1.." +
                 std::to_string(info_->batch));
        check(CALL(sizes)(options.threads, &memory_.sizes));
        for (int c = 0; c < EMULSION_CLASSES; c++)
            memory_.block[c] = allocate(memory_.sizes.bytes[c]);
        instance_ = memory_.block[EMULSION_INSTANCE];
        initialize();
        emulsion_options settings = {};
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
#if !TRAINS
        check(CALL(prepare)(instance_));
#endif
        fill_ports(options.batch);
    }

    void step() {
#if TRAINS
        check(CALL(step)(instance_, &call_, 0.001f));
#else
        check(CALL(run)(instance_, &call_));
#endif
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
        if (status)
            stop(std::string("status ") + std::to_string(status) + ": " + CALL(error)(instance_));
    }

    // Parameters: the library's own start in training; small random values in inference, with
    // variances of one.
    void initialize() {
#if TRAINS
        check(CALL(init)(1, &memory_));
#else
        std::mt19937 random(1);
        std::normal_distribution<float> normal(0.0f, 0.05f);
        for (int t = 0; t < info_->tensor_count; t++) {
            const emulsion_tensor& tensor = info_->tensors[t];
            if (tensor.type != EMULSION_F32) continue;
            float* values = (float*)((char*)memory_.block[tensor.memory_class] + tensor.offset);
            bool is_state = tensor.memory_class == EMULSION_STATE;
            for (uint64_t i = 0; i < tensor.bytes / 4; i++)
                values[i] = is_state ? 1.0f : normal(random);
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
    emulsion_memory memory_ = {};
    void* instance_ = nullptr;
    std::vector<void*> inputs_, outputs_;
    std::vector<std::vector<double>> kernels_;  // seconds of each call, if asked for
    emulsion_call call_ = {};
};

// Seconds of one step: the median of five windows.
double throughput_seconds(const std::function<void()>& step) {
    step();
    step();
    double start = seconds();
    step();
    long count = std::max(1L, std::lround(0.6 / (seconds() - start)));
    std::vector<double> windows;
    for (int w = 0; w < 5; w++) {
        start = seconds();
        for (long i = 0; i < count; i++) step();
        windows.push_back((seconds() - start) / double(count));
    }
    return median(windows);
}

std::vector<double> times_for(double duration, const std::function<void()>& step) {
    std::vector<double> times;
    double end = seconds() + duration;
    while (times.size() < 10 || seconds() < end) {
        double start = seconds();
        step();
        times.push_back(seconds() - start);
    }
    return times;
}

double latency_seconds(const std::function<void()>& step) {
    for (int i = 0; i < 5; i++) step();
    return median(times_for(2.0, step));
}

Options parse(int argc, char** argv) {
    Options options;
    if (argc < 4) stop("usage: driver NET BATCH THREADS [--awake] [--pin] [--kernels]");
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
        else
            stop(std::string("unknown option '") + argv[i] + "'");
    }
    return options;
}

}  // namespace

int main(int argc, char** argv) {
    Options options = parse(argc, argv);
    Instance instance(options);
    auto step = [&] { instance.step(); };
    if (options.kernels) {
        for (int i = 0; i < 3; i++) step();
        instance.forget_kernels();
        times_for(1.0, step);
        instance.print_kernels();
        return 0;
    }
    bool is_latency = !TRAINS && options.batch == 1;
    double value =
        is_latency ? 1e3 * latency_seconds(step) : options.batch / throughput_seconds(step);
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    std::printf("emulsion%s,%s,%s,%s,%d,%d,%s,%.5g,%s,%.0f\n", options.awake ? "_awake" : "",
                instance.version(), options.net.c_str(), TRAINS ? "train" : "infer", options.batch,
                options.threads, is_latency ? "latency_median" : "throughput_median", value,
                is_latency ? "ms" : "img/s", double(usage.ru_maxrss) / 1024);
    return 0;
}

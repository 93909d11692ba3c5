// See tune_words.h.
#include "dsl/tune_words.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/plan/roofline.h"
#include "compiler/support/interrupts.h"
#include "schedules/tune/kernel_session.h"

namespace emulsion {

std::string time_text(double us) {
    return us < 1000 ? fmt::format("{:.1f} us", us) : fmt::format("{:.3f} ms", us / 1000);
}

double gain_of(const TunedKernel& kernel) {
    return kernel.best_us > 0 ? kernel.default_us / kernel.best_us : 1;
}

const char* step_words(bool training) { return training ? "a step of training" : "an inference"; }

std::map<bool, double, std::greater<>> gains_of(const std::vector<TunedKernel>& kernels) {
    std::map<bool, double, std::greater<>> times;  // with the records, of a step's
    for (const TunedKernel& kernel : kernels) {
        for (const auto& [training, share] : kernel.shares)
            times.try_emplace(training, 1).first->second -= share * (1 - 1 / gain_of(kernel));
    }
    for (auto& [training, value] : times) value = value > 0 ? 1 / value : 1;
    return times;
}

std::string gains_text(const std::vector<TunedKernel>& kernels) {
    std::string text;
    for (const auto& [training, gain] : gains_of(kernels))
        text += fmt::format("{}{} {:.3f}", text.empty() ? "" : ", ", step_words(training), gain);
    return text.empty() ? "" : text + " times as fast";
}

KernelRates rates_of(const TunedKernel& kernel, double us, const MachineSpeed& machine) {
    if (us <= 0 || kernel.planned == nullptr) return {};
    const Group& group = kernel.planned->group;
    const std::vector<TensorType> types = group.buffer_types();
    const size_t operands = types.size() - group.body.results().size();
    double read = 0, written = 0;
    for (size_t i = 0; i < types.size(); i++)
        (i < operands ? read : written) += static_cast<double>(memory_bytes(types[i], group.batch));
    const double seconds = us * 1e-6;
    return {2 * static_cast<double>(group.multiply_adds()) / machine.peak / seconds,
            byte_seconds(read, written, machine) / seconds};
}

std::string change_of(double before, double after) {
    const std::string text = before > 0 ? fmt::format("{:.0f} %", 100 * before) : "";
    return after > 0 ? fmt::format("{} to {:.0f} %", text, 100 * after) : text;
}

MachineSpeed measure_speed(const Isa& isa, int threads) {
    constexpr int kPeaks = 10;
    constexpr uint64_t kSmallest = 256 << 10, kLargest = 64 << 20;
    MachineSpeed speed;
    for (int i = 0; i < kPeaks; i++) {
        check_interrupts();
        speed.peak = std::max(speed.peak, measure_peak(isa.name, threads));
    }
    for (uint64_t bytes = kSmallest; bytes <= kLargest; bytes *= 4) {
        check_interrupts();
        speed.bandwidth.push_back(measure_bandwidth(isa.name, threads, bytes));
    }
    return speed;
}

}  // namespace emulsion

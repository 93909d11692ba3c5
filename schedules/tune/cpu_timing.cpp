// See cpu_timing.h.
#include "schedules/tune/cpu_timing.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>

#include "schedules/tune/contention.h"
#include "schedules/tune/machine_class.h"

namespace emulsion {

namespace {

constexpr double kLeastSeconds = 1e-3;      // of one timed run of a kernel's calls
constexpr double kLeastStepSeconds = 1e-2;  // and of a library's
constexpr int64_t kMostRotated = int64_t{256} << 20;

// Calls per timed run, so that a run is long enough for the clock.
int calls_of_run(double least, double seconds) {
    return static_cast<int>(std::clamp(std::ceil(least / std::max(seconds, 1e-9)), 1.0, 1000.0));
}

template <class Pair>
struct Taken {
    std::vector<Pair> pairs;
    bool contended = false;
};

// Takes pairs, take(turn), until they are enough, is_decided(pairs), or is_lost(disturbed ones).
template <class Pair, class Take, class IsDecided, class IsLost>
Taken<Pair> take_pairs(const Effort& effort, const Take& take, const IsDecided& is_decided,
                       const IsLost& is_lost) {
    constexpr double kPatience = 4;  // times the effort, where pairs are disturbed
    const auto begin = std::chrono::steady_clock::now();
    const auto least = static_cast<size_t>(effort.least_pairs);
    Taken<Pair> taken;
    std::vector<Pair>& pairs = taken.pairs;
    std::vector<Pair> disturbed;
    for (int turn = 0; static_cast<int>(pairs.size()) < effort.most_pairs; turn++) {
        const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
        const bool has_enough = pairs.size() >= least;
        if (spent.count() > effort.seconds * (has_enough ? 1 : kPatience) &&
            pairs.size() + disturbed.size() >= least)
            break;
        const ContentionWatch watch;
        Pair pair = take(turn);
        const bool was_alone = watch.share_lost() <= kMostShareLost;
        (was_alone ? pairs : disturbed).push_back(std::move(pair));
        if (was_alone ? is_decided(pairs) : is_lost(disturbed)) break;
    }
    taken.contended = pairs.size() < least && !(!pairs.empty() && is_decided(pairs));
    if (taken.contended) pairs.insert(pairs.end(), disturbed.begin(), disturbed.end());
    return taken;
}

}  // namespace

int64_t rotated_bytes(int64_t step_bytes) {
    const int64_t last =
        int64_t{this_machine().l3_kib > 0 ? this_machine().l3_kib : this_machine().l2_kib} << 10;
    return std::min({step_bytes, 2 * last, kMostRotated});
}

PairedTimes time_pairs(KernelSession& session, int64_t samples, RotatingTensors& tensors,
                       const Effort& effort) {
    int calls[2] = {};
    for (size_t k = 0; k < 2; k++)
        calls[k] = calls_of_run(kLeastSeconds, session.run(k, samples, tensors, 1));
    const auto run = [&](size_t k) { return session.run(k, samples, tensors, calls[k]); };
    const auto take = [&](int turn) {
        TimePair pair;
        if (turn % 2 == 0) pair.current = run(0);
        pair.candidate = run(1);
        if (turn % 2 != 0) pair.current = run(0);
        return pair;
    };
    const auto is_decided = [&](const std::vector<TimePair>& pairs) {
        const PairedTimes times{pairs};
        return is_hopeless(times, effort.most_pairs, effort.significance) ||
               (effort.stops_at_win && static_cast<int>(pairs.size()) >= effort.least_pairs &&
                is_faster(times, effort.significance, effort.margin));
    };
    const auto is_lost = [&](const std::vector<TimePair>& disturbed) {
        constexpr double kFar = 1.5;  // what takes so much longer does so beside other work too
        return static_cast<int>(disturbed.size()) >= effort.least_pairs &&
               PairedTimes{disturbed}.ratio() > kFar;
    };
    Taken<TimePair> taken = take_pairs<TimePair>(effort, take, is_decided, is_lost);
    return {std::move(taken.pairs), taken.contended};
}

StepTimes time_steps(NetworkSession& session, const std::vector<std::vector<int>>& kernel_of,
                     size_t kernels, const Effort& effort) {
    const size_t plans = kernel_of.size();
    int calls = 1000;
    for (size_t k = 0; k < plans; k++) {
        session.run(k);
        calls = std::min(calls, calls_of_run(kLeastStepSeconds, session.run(k).seconds));
    }
    const auto run = [&](size_t k) {
        const NetworkSession::Call call = session.run(k, calls);
        StepRun result{call.seconds, std::vector<double>(kernels)};
        for (size_t i = 0; i < call.kernels.size(); i++) {
            if (kernel_of[k][i] >= 0)
                result.kernels[static_cast<size_t>(kernel_of[k][i])] += call.kernels[i];
        }
        return result;
    };
    using Round = std::vector<StepRun>;
    const auto take = [&](int turn) {
        Round round(plans);
        for (size_t i = 0; i < plans; i++) {
            const size_t k = turn % 2 == 0 ? i : plans - 1 - i;
            round[k] = run(k);
        }
        return round;
    };
    const auto never = [](const std::vector<Round>&) { return false; };
    Taken<Round> taken = take_pairs<Round>(effort, take, never, never);
    return {std::move(taken.pairs), taken.contended, ""};
}

// ---- Text ----

namespace {

std::vector<double> numbers_in(std::string_view text) {
    std::vector<double> numbers;
    const char* place = text.data();
    const char* const end = text.data() + text.size();
    while (place != end) {
        double number = 0;
        const auto [next, error] = std::from_chars(place, end, number);
        if (error != std::errc()) break;
        numbers.push_back(number);
        place = next == end ? end : next + 1;
    }
    return numbers;
}

}  // namespace

std::string pack(const PairedTimes& times) {
    std::string text = fmt::format("{}", times.contended ? 1 : 0);
    for (const TimePair& pair : times.pairs)
        text += fmt::format(" {:.9e} {:.9e}", pair.current, pair.candidate);
    return text;
}

PairedTimes unpack_pairs(std::string_view text) {
    const std::vector<double> numbers = numbers_in(text);
    PairedTimes times;
    times.contended = !numbers.empty() && numbers[0] != 0;
    for (size_t i = 1; i + 1 < numbers.size(); i += 2)
        times.pairs.push_back({numbers[i], numbers[i + 1]});
    return times;
}

std::string pack(const StepTimes& times) {
    const size_t plans = times.rounds.empty() ? 0 : times.rounds[0].size();
    const size_t kernels = plans == 0 ? 0 : times.rounds[0][0].kernels.size();
    std::string text = fmt::format("{} {} {}", times.contended ? 1 : 0, plans, kernels);
    for (const std::vector<StepRun>& round : times.rounds) {
        for (const StepRun& run : round) {
            text += fmt::format(" {:.9e}", run.seconds);
            for (const double seconds : run.kernels) text += fmt::format(" {:.9e}", seconds);
        }
    }
    return text;
}

StepTimes unpack_steps(std::string_view text) {
    const std::vector<double> numbers = numbers_in(text);
    StepTimes times;
    if (numbers.size() < 3) return times;
    times.contended = numbers[0] != 0;
    const auto plans = static_cast<size_t>(numbers[1]), kernels = static_cast<size_t>(numbers[2]);
    for (size_t place = 3; plans > 0 && place + plans * (1 + kernels) <= numbers.size();) {
        std::vector<StepRun>& round = times.rounds.emplace_back();
        for (size_t k = 0; k < plans; k++, place += 1 + kernels) {
            const auto first = numbers.begin() + static_cast<std::ptrdiff_t>(place);
            round.push_back(
                {*first,
                 std::vector<double>(first + 1, first + 1 + static_cast<std::ptrdiff_t>(kernels))});
        }
    }
    return times;
}

}  // namespace emulsion

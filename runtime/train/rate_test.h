// The range test of the learning rate (Smith 2017): a short training in which the rate grows by the
// same factor from step to step, and what becomes of the loss. Nothing of it is kept.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "runtime/data/loader.h"
#include "runtime/train/session.h"

namespace emulsion {

constexpr int64_t kRateTestSteps = 100;
constexpr double kRateTestRange =
    1e3;  // the rates are the optimiser's divided and multiplied by it

struct RatePoint {
    double rate = 0.0;
    double loss = 0.0;    // of the step's pictures, before the step
    double smooth = 0.0;  // weighted mean of the losses so far, of which each older one counts 0.9
                          // times as much
};

// The rates from `base` / kRateTestRange to `base` * kRateTestRange, one a step. Ends earlier where
// the smooth loss is above four times its lowest, or a step has something that is not finite, and
// where a signal has arrived. REQUIRES: the session is bound and holds initial parameters; steps >=
// 2.
std::vector<RatePoint> run_rate_test(TrainingSession& session, Loader& loader, double base,
                                     int64_t steps);

// "rate,loss,smooth" and a row for each point.
std::string rate_test_csv(std::span<const RatePoint> points);

// A line with a JSON object for each point.
std::string rate_test_json(std::span<const RatePoint> points);

// For people: the smooth losses as a drawing over the rates, from the lowest loss to the first one,
// and the rate where it falls fastest.
std::string rate_test_text(std::span<const RatePoint> points);

// A page of HTML: the losses as curves over the rates, cut off at one and a half times the first,
// and the rates that the text names.
std::string rate_test_page(const std::string& network, std::span<const RatePoint> points);

}  // namespace emulsion

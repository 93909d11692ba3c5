// When one time counts as better than another: runs in pairs, a sign test over the pairs, medians.
#pragma once

#include <vector>

namespace emulsion {

// Seconds of two kernels that ran one right after the other.
struct TimePair {
    double current = 0, candidate = 0;
};

struct PairedTimes {
    std::vector<TimePair> pairs;
    bool contended = false;  // something else took the processors meanwhile

    double current_seconds() const;  // medians; 0 without pairs
    double candidate_seconds() const;
    double ratio() const;   // median over the pairs of candidate over current; 1 without pairs
    double spread() const;  // quartiles of these ratios apart, over their median
    int wins() const;       // pairs that the candidate won
};

// The chance that of `count` fair coins at least `heads` show heads.
double chance_of_heads(int heads, int count);

// Whether the candidate is faster: the pairs it won would be won by chance at most with
// `significance`, and the median ratio is at most 1 - `margin`.
bool is_faster(const PairedTimes& times, double significance, double margin);

// Whether more pairs are a waste: the candidate takes much longer, or cannot win any more where
// `most` pairs are the limit.
bool is_hopeless(const PairedTimes& times, int most, double significance);

// Spearman's: the correlation of the places in the order of each list, of equal values their mean
// place; 0 where all of a list are equal. REQUIRES: as many of both.
double rank_correlation(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace emulsion

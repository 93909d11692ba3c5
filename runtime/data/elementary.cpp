// Taylor series on short intervals, to which the arguments are brought first.
#include "runtime/data/elementary.h"

#include <bit>
#include <cmath>
#include <cstdint>

namespace emulsion {

SineCosine sine_cosine(double degrees) {
    const double quarters = std::floor(degrees / 90.0 + 0.5);
    const double x = (degrees - 90.0 * quarters) * (3.14159265358979323846 / 180.0);
    double sine = 0.0, cosine = 0.0;  // of x, between -pi / 4 and pi / 4
    for (int i = 17; i >= 1; i -= 2) {
        sine = 1.0 - sine * x * x / ((i + 1.0) * (i + 2.0));
        cosine = 1.0 - cosine * x * x / (i * (i + 1.0));
    }
    sine *= x;
    switch (static_cast<int64_t>(quarters) & 3) {
        case 0:
            return {sine, cosine};
        case 1:
            return {cosine, -sine};
        case 2:
            return {-sine, -cosine};
        default:
            return {-cosine, sine};
    }
}

// (e^(x / 1024))^1024.
double exponential(double x) {
    const double small = x / 1024.0;
    double sum = 1.0;
    for (int i = 12; i >= 1; i--) sum = 1.0 + sum * small / i;
    for (int i = 0; i < 10; i++) sum *= sum;
    return sum;
}

// Exponent, then 2 artanh((m - 1) / (m + 1)).
double logarithm(double x) {
    const auto bits = std::bit_cast<uint64_t>(x);
    int exponent = static_cast<int>(bits >> 52) - 1023;
    double m = std::bit_cast<double>((bits & ((uint64_t{1} << 52) - 1)) | uint64_t{1023} << 52);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        exponent++;
    }
    const double t = (m - 1.0) / (m + 1.0);
    double sum = 0.0;
    for (int i = 21; i >= 1; i -= 2) sum = sum * t * t + 1.0 / i;
    return exponent * 0.69314718055994531 + 2.0 * t * sum;
}

}  // namespace emulsion

// Elementary functions whose bits are the same on every processor: plain double-precision
// arithmetic in a fixed order, without libm, whose last bits differ between versions and
// instruction sets. Errors are below 1e-14 of the value.
#pragma once

namespace emulsion {

struct SineCosine {
    double sine, cosine;
};

// Exact for multiples of 90. REQUIRES: |degrees| <= 1e6.
SineCosine sine_cosine(double degrees);

// REQUIRES: |x| <= 700.
double exponential(double x);

// REQUIRES: x is a normal positive number.
double logarithm(double x);

}  // namespace emulsion

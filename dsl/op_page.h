// What is written about an op: its documentation, in the header of its class, and its test.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace emulsion {

// All paths are from the root of the sources; each field is empty where there is no such thing.
struct OpPage {
    std::string header;  // "compiler/ops/conv2d.h", which holds the class
    std::string text;    // what stands at the top of the header, if it names the op or, of
                         // KIND_backward, the backward of KIND; behind it what stands at the class
    std::string test;    // "tests/ops/conv2d_test.cpp": names the kind or its class, or those of
                         // the op that a KIND_backward is the gradient of
};

// The headers of the compiler's ops, and the tests where they are there.
class OpPages {
  public:
    OpPages();  // reads them; throws RuntimeError where one cannot be read
    OpPage of(std::string_view kind) const;

  private:
    struct Source {
        std::string path, text;
    };
    struct Place {
        std::string header, name, text;
    };
    static std::vector<Source> read(const std::string& folder, std::string_view ending);
    Place find_class(std::string_view kind) const;
    std::string find_test(const Place& place, std::string_view kind) const;

    std::vector<Source> headers_, tests_;
};

}  // namespace emulsion

// A file descriptor that closes itself.
#pragma once
#include <unistd.h>

namespace emulsion {

struct Descriptor {
    int number = -1;  // negative: none

    explicit Descriptor(int opened) : number(opened) {}
    ~Descriptor() {
        if (number >= 0) close(number);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
};

}  // namespace emulsion

// A file descriptor that closes itself, and writing to one.
#pragma once
#include <unistd.h>

#include <string_view>

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

// Writes all of it; 0 or the system's code. One that does not block (another process may have set
// it so) and is full for a moment is waited for, as one that blocks is.
int write_all(int descriptor, std::string_view text);

}  // namespace emulsion

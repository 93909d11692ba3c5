// One process at a time changes a file of records.
#pragma once

#include <string>

#include "runtime/support/descriptor.h"

namespace emulsion {

// While it lives, no other one of this file does, in any process; the constructor waits for it, and
// throws Interrupted where a signal asks to end. It leaves no file, since it locks the file's
// folder. Where that cannot be read, or its file system knows no locks, it locks nothing.
class RecordsLock {
  public:
    explicit RecordsLock(std::string file);

  private:
    Descriptor folder_;
};

}  // namespace emulsion

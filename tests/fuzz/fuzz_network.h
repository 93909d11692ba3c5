// A network for the readers of weights and checkpoints: the fake one of the tests, with its memory.
#pragma once

#include "tests/fuzz/fuzz_support.h"
#include "tests/support/fake_library.h"

namespace emulsion::fuzz {

class FuzzNetwork {
  public:
    FuzzNetwork() {
        use_fake_network({});
        library_ = &fake_train_library();
        require(library_->sizes(1, &memory_.sizes) == EMULSION_OK, "no sizes");
        for (size_t i = 0; i < EMULSION_CLASSES; i++) {
            blocks_[i].resize(memory_.sizes.bytes[i] + EMULSION_ALIGNMENT);
            const auto at = reinterpret_cast<uintptr_t>(blocks_[i].data());
            memory_.block[i] = blocks_[i].data() + (0 - at) % EMULSION_ALIGNMENT;
        }
        require(library_->init(1, &memory_) == EMULSION_OK, "no initial weights");
    }
    const emulsion_info& info() const { return *library_->info(); }
    const emulsion_memory& memory() const { return memory_; }

  private:
    const emulsion_train_library* library_ = nullptr;
    emulsion_memory memory_{};
    std::vector<char> blocks_[EMULSION_CLASSES];
};

}  // namespace emulsion::fuzz

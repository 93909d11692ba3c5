// Runs a network's libraries as they ship, in turn and with the same tensors: their objects are
// loaded into this process. Belongs into a forked process.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "compiler/codegen/loader.h"
#include "runtime/abi/instance.h"
#include "schedules/tune/guarded_block.h"

namespace emulsion {

class NetworkSession {
  public:
    // `objects`: Library::object of one network and direction, by plans that may differ; `name`
    // is theirs. A step of training runs with the learning rate 0, so parameters stay as `init`
    // makes them. Throws Error, std::bad_alloc, and std::runtime_error where a function fails.
    NetworkSession(const std::vector<std::string>& objects, const std::string& name, bool training,
                   int threads);
    ~NetworkSession();
    NetworkSession(const NetworkSession&) = delete;
    NetworkSession& operator=(const NetworkSession&) = delete;

    struct Call {
        double seconds = 0;
        std::vector<double> kernels;  // of each, by its place in info().kernels
    };
    // A step or an inference of a whole batch by library k, `count` times in a row: the mean.
    Call run(size_t k, int count = 1);

    const emulsion_info& info(size_t k) const { return *libraries_[k].info; }
    const GuardedBlock& memory(emulsion_class which) const {
        return classes_[static_cast<size_t>(which)];
    }

  private:
    struct Library {
        std::unique_ptr<LoadedObject> object;
        const emulsion_info* info = nullptr;
        emulsion_sizes sizes{};
        GuardedBlock instance, prepared;
        std::vector<double> kernels;  // of the call that runs
    };
    template <class F>
    F* function(const Library& library, const char* what) const;
    void check(const Library& library, int status) const;
    void make_memory();
    void fill_ports();
    void bind(Library& library, int threads);

    std::string name_;
    bool training_;
    std::vector<Library> libraries_;
    std::vector<GuardedBlock> classes_, inputs_, outputs_;  // of all libraries
    std::vector<const void*> input_pointers_;
    std::vector<void*> output_pointers_;
};

}  // namespace emulsion

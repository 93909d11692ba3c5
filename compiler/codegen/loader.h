// Loads a relocatable object into this process (LLVM's in-memory linker): tests and the tuner run
// the very bytes that ship.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace emulsion {

// A kernel's object and the C code of generated libraries as one object, all symbols global.
std::string kernel_with_runtime(const std::string& kernel_object);
// The same of several kernels with different symbols, around one runtime.
std::string kernels_with_runtime(const std::vector<std::string>& kernel_objects);

class LoadedObject {
  public:
    // Throws Error[load]. Undefined symbols resolve to `symbols`, else to those that this process
    // exports; a bare kernel is linked with the runtime's object first (kernel_with_runtime).
    explicit LoadedObject(const std::string& object,
                          const std::map<std::string, void*>& symbols = {});
    ~LoadedObject();
    LoadedObject(const LoadedObject&) = delete;
    LoadedObject& operator=(const LoadedObject&) = delete;

    // Address of a global symbol; null if there is none.
    void* find(std::string_view symbol) const;
    template <class F>
    F* function(std::string_view symbol) const {
        return reinterpret_cast<F*>(find(symbol));
    }

  private:
    struct Implementation;
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace emulsion

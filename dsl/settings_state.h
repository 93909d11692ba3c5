// What Settings hold while the model file runs.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "compiler/support/diagnostic.h"
#include "dsl/settings.h"

namespace emulsion {

namespace internal {

struct SettingsState {
    // One that the model file asks for, and what it has got.
    struct Declared {
        std::string name, value;
        SourceLocation where;
    };

    int argc = 0;
    char** argv = nullptr;
    std::map<std::string, std::string> given;  // by --set
    std::vector<Declared> declared;            // in the order of the file
    std::vector<Diagnostic> mistakes;
};

}  // namespace internal

// The words behind `--set`, or `--set=`, as far as "--".
std::vector<std::string> given_settings(int argc, char** argv);

// The mistakes so far, and one for each setting that is given and not declared.
std::vector<Diagnostic> mistakes_of(const internal::SettingsState& state);

// "depth=18 width=0.5": all that were asked for, with their values; empty where there are none.
std::string settings_text(const internal::SettingsState& state);

}  // namespace emulsion

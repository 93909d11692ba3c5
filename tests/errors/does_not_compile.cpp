// No C++ at all: the compiler's own message stands above ours, and is not compared.
#include "dsl/emulsion.h"
int main() { return no_such_name; }

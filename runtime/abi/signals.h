/* Signals of threads that the runtime starts. */
#pragma once
#include <signal.h>
#ifdef __cplusplus
extern "C" {
#endif

/* Gives the calling thread the mask that a thread started now shall inherit, and its own to
 * `before`: signals for the program are left to the program's threads; those of a fault in the
 * thread's own code, and of profilers, stay as they are. */
void emulsion_mask_signals(sigset_t* before);

#ifdef __cplusplus
}
#endif

/* Which signals a thread of the runtime takes. Blocked, a fault would end the program without the
 * handler it has set. */
#define _GNU_SOURCE
#include "runtime/abi/signals.h"

#include <pthread.h>
#include <stddef.h>

void emulsion_mask_signals(sigset_t* before) {
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGPROF};
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, before);
    sigfillset(&mask);
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (!sigismember(before, own[i])) sigdelset(&mask, own[i]);
    }
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

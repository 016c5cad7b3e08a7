#include "base/threads_start.h"

#include <pthread.h>
#include <signal.h>

bool bb_threads_start_one(pthread_t *handle, void *(*run)(void *), void *context)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(handle, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return !failed;
}

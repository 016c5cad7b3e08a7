/* library.c - by the system's loader. */
#include "base/library.h"

#include "base/team_internal.h"

#include <dlfcn.h>
#include <string.h>

#ifdef __linux__
#  include <sys/auxv.h>
static bool has_loader(void) { return getauxval(AT_BASE) != 0; }
#else
static bool has_loader(void) { return true; }
#endif

bool bb_library_load(const char *file, int n, const char *const *names, bb_function **functions)
{
    void       *library = NULL;
    bb_affinity before;

    if (has_loader()) {
        const bool pinned = bb_pin(0, &before);
        library = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
        if (pinned) bb_unpin(&before);
    }
    for (int i = 0; library && i < n; i++) {
        void *function = dlsym(library, names[i]);
        if (!function) return false;
        memcpy(&functions[i], &function, sizeof function);
    }
    return library != NULL;
}

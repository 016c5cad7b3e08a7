/* library.h - a shared library loaded while the program runs.
 *
 * Not:     unloading: the library stays until the process ends.
 * Errors:  none; what cannot be had is false. A program linked statically loads nothing: it would
 *          get a second C library.
 */
#ifndef BB_BASE_LIBRARY_H
#define BB_BASE_LIBRARY_H

#include <stdbool.h>

typedef void bb_function(void);

/* functions[i] = the one called names[i]; all n or false. Initialisers of the library run with the
   calling thread on one processor, so one that starts a thread for each starts none. */
bool bb_library_load(const char *file, int n, const char *const *names, bb_function **functions);

#endif

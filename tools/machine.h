/* machine.h - what this machine and this installation have.
 *
 * Owns:    memory that can still be had, where the embedded model lies.
 * Not:     what is needed (setup.h).
 */
#ifndef BAMBA_TOOLS_MACHINE_H
#define BAMBA_TOOLS_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that can be allocated without swapping, by the system's account and the limits of the
   control groups this process is in; UINT64_MAX if nothing says. */
uint64_t machine_free_memory(void);

/* The directory to use without -m: the environment's BAMBA_MODEL, or the model that lies in the
   build tree or the installation this program was started from. False if there is none. */
bool machine_find_model(char *dir, size_t size);

/* The file of a shape: "hybrid-1b" of models/shapes there, or a path. */
bool machine_find_shape(const char *name, char *path, size_t size);

#endif

/* machine.h - models and shapes that are installed on this machine.
 *
 * Owns:    where the embedded model and the shapes of published models lie.
 * Not:     opening them (setup.h).
 */
#ifndef BAMBA_TOOLS_MACHINE_H
#define BAMBA_TOOLS_MACHINE_H

#include <stdbool.h>
#include <stddef.h>

/* The directory to use without -m: the environment's BAMBA_MODEL, or the model that lies in the
   build tree or the installation this program was started from. False if there is none. */
bool machine_find_model(char *dir, size_t size);

/* The config.json of a shape: a name as "hybrid-1b" stands for a file of models/shapes in the build
   tree or the installation, anything with a '/' or ".json" for itself. False if it is not there. */
bool machine_find_shape(const char *name, char *path, size_t size);

/* The directory of the shapes. False if there is none. */
bool machine_find_shapes(char *dir, size_t size);

#endif

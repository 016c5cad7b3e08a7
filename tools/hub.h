/* hub.h - models that huggingface_hub has downloaded to this machine.
 *
 * Owns:    where its cache lies (HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME, HOME) and how it is laid
 *          out: models--ORG--NAME with refs/main, which names a directory of snapshots/.
 * Not:     the network.
 */
#ifndef BAMBA_TOOLS_HUB_H
#define BAMBA_TOOLS_HUB_H

#include <stdbool.h>
#include <stddef.h>

/* The directory of the cache, whether there is one or not. */
void hub_cache(char *out, size_t size);

/* Whether name is of the form ORG/NAME. */
bool hub_is_name(const char *name);

/* The snapshot of ORG/NAME, or of a folder "models--ORG--NAME" given by its path. Without refs/main
   the newest is taken. False if there is none. */
bool hub_find(const char *name, char *dir, size_t size);

#endif

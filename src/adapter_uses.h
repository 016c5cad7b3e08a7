/* adapter_uses.h - adapters of mixers that several layers share: what they change at each use.
 *
 * Owns:    what a file that names some of the uses says of the others.
 * Not:     names and shapes of tensors (adapter_file.h), which use runs (bb_exec.shift).
 * Errors:  one line that names the file and the tensor.
 *
 * transformers 5 has a module for each use, all with the same parameters. PEFT adapts each of these
 * modules apart, but a bias that it has trained is the bias of all. Until transformers 4 the uses
 * were one module, which PEFT adapted once.
 */
#ifndef BB_ADAPTER_USES_H
#define BB_ADAPTER_USES_H

#include "adapter_config.h"
#include "adapter_file.h"

/* Fill in the maps of uses that the file does not name, where it speaks of them, and clear the idle
   ones. A file that adapts or replaces the first use of a map alone, though its configuration tells
   PEFT to do so with later ones, was made when these were one module: it is for all. Fails if only
   a use that does not multiply by a matrix has one in its place. */
bb_status bb_adapter_settle_uses(bb_adapter_file *f, const bb_adapter_config *config,
                                 const bb_graph *g, const bb_log *log, bamba_error *err);

/* For a merge, which writes a shared tensor once: leave the change of each tensor in the map of the
   mixer's first use, and clear the maps of later uses. Fails if uses change a tensor in different
   ways. */
bb_status bb_adapter_join_uses(bb_adapter_file *f, const bamba_model *model, bamba_error *err);

#endif

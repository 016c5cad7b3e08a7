/* registry.h - the architectures this build knows.
 *
 * Owns:    which family a config.json belongs to.
 * Not:     anything about a family: that is its own file.
 */
#ifndef BB_ARCH_REGISTRY_H
#define BB_ARCH_REGISTRY_H

#include "base/json.h"
#include "graph/plan.h"

typedef struct bb_arch {
    const char *model_type;               /* as config.json has it: "bamba" */
    const char *class_name;               /* in "architectures": "BambaForCausalLM" */
    void      (*plan)(const bb_json *config, bb_plan *p);
    bool      (*claims)(const bb_json *config);       /* a file that names no architecture, or
                                                         another one; NULL: none */
} bb_arch;

/* Who claims it, else by model_type, else by the first of "architectures". NULL: a sticky error
   in the document. */
const bb_arch *bb_arch_find(const bb_json *config);

#endif

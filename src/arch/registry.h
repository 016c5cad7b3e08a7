/* registry.h - the architectures this build knows.
 *
 * Owns:    which family a config.json belongs to; the way from it to a plan.
 * Not:     anything about a family: that is its own file.
 */
#ifndef BB_ARCH_REGISTRY_H
#define BB_ARCH_REGISTRY_H

#include "arch/facts.h"
#include "base/json.h"

/* A family turns config.json into facts, and facts into a plan without looking at the file. */
typedef struct bb_arch {
    const char *model_type;               /* as config.json has it: "bamba" */
    const char *class_name;               /* in "architectures": "BambaForCausalLM" */
    bool      (*claims)(const bb_json *config);       /* a file that names no architecture, or
                                                         another one; NULL: none */
    void      (*read)(const bb_json *config, bb_facts *zeroed);       /* errors: the document's */
    void      (*plan)(const bb_facts *facts, bb_plan *p);
} bb_arch;

/* The family that claims the file, else by model_type, else by the first of "architectures".
   NULL: a sticky error in the document. */
const bb_arch *bb_arch_find(const bb_json *config);

/* Read the file's facts and plan them. Errors are sticky, in the document and in the plan: ask
   both. The facts are the caller's, to release by the graph's allocator; NULL without memory. */
bb_facts *bb_arch_plan(const bb_arch *arch, const bb_json *config, bb_plan *p);

#endif

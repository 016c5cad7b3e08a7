/* adapters.h - the values of --adapter: DIR or DIR=SCALE, adapters that a model runs with.
 *
 * Owns:    splitting them, opening the adapters.
 * Errors:  reported here. Close in any case, after sessions that have them and before the model.
 */
#ifndef BAMBA_TOOLS_ADAPTERS_H
#define BAMBA_TOOLS_ADAPTERS_H

#include "args.h"
#include "bamba.h"

typedef struct adapters {
    bamba_adapter_use *use;               /* [n] */
    size_t             n;
} adapters;

#define ADAPTERS_ROW(target)                                                                   \
    ARG_LIST_ROW("--adapter", "DIR[=SCALE]", target, "run with a LoRA adapter of "     \
      "PEFT's; may be repeated", .more = "DIR has adapter_config.json and "                    \
      "adapter_model.safetensors. SCALE multiplies all that the adapter adds.")

/* Split a value into a directory [size], and a scale; false if the scale is no number. */
bool adapters_split(const char *text, char *dir, size_t size, float *scale);

int  adapters_open(adapters *a, const bamba_model *model, const arg_list *given);
void adapters_close(adapters *a);

#endif

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
      "adapter_model.safetensors. SCALE multiplies all that the adapter adds.",                \
      .check = adapters_expect)

#define ADAPTERS_VALUE "DIR or DIR=SCALE with a finite number"
enum { ADAPTERS_MOST_PATH = 4096 };

/* ADAPTERS_VALUE for a value that has no directory, or a scale that is no finite float; NULL: it is
   good. */
const char *adapters_expect(const char *text);

/* Split a value into a directory [ADAPTERS_MOST_PATH], and a scale; false if it is not good. */
bool adapters_split(const char *text, char *dir, float *scale);

int  adapters_open(adapters *a, const bamba_model *model, const arg_list *given);
void adapters_close(adapters *a);

#endif

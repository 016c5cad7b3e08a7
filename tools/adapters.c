/* adapters.c - the values of --adapter: DIR or DIR=SCALE, adapters that a model runs with. */
#include "adapters.h"

#include "console.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool adapters_split(const char *text, char *dir, size_t size, float *scale)
{
    const char *equals = access(text, F_OK) == 0 ? NULL : strrchr(text, '=');
    double      value = 1.0;

    *scale = 1.0f;
    if (equals && !args_parse_float(equals + 1, &value)) return false;
    *scale = (float)value;
    const int n = equals ? (int)(equals - text) : (int)strlen(text);
    return snprintf(dir, size, "%.*s", n, text) < (int)size;
}

int adapters_open(adapters *a, const bamba_model *model, const arg_list *given)
{
    bamba_adapter_options o = BAMBA_ADAPTER_OPTIONS;
    bamba_error           err = { BAMBA_OK, "" };
    char                  dir[4096];

    *a = (adapters){ NULL, 0 };
    if (given->n == 0) return EXIT_SUCCESS;
    o.log = console_log;
    if (!(a->use = calloc(given->n, sizeof *a->use))) return console_fail("out of memory");
    for (size_t i = 0; i < given->n; i++) {
        bamba_adapter *opened = NULL;
        if (!adapters_split(given->items[i], dir, sizeof dir, &a->use[i].scale))
            return console_fail("--adapter: expected DIR or DIR=SCALE, found '%s'",
                                given->items[i]);
        const bamba_status status = bamba_adapter_open(&opened, model, dir, &o, &err);
        if (status != BAMBA_OK) return console_fail_library(status, &err);
        a->use[a->n++].adapter = opened;
    }
    return EXIT_SUCCESS;
}

void adapters_close(adapters *a)
{
    for (size_t i = 0; i < a->n; i++)
        bamba_adapter_free((bamba_adapter *)(uintptr_t)a->use[i].adapter);
    free(a->use);
    *a = (adapters){ NULL, 0 };
}

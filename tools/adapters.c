/* adapters.c - the values of --adapter: DIR or DIR=SCALE, adapters that a model runs with. */
#include "adapters.h"

#include "console.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool adapters_split(const char *text, char *dir, float *scale)
{
    const char *equals = access(text, F_OK) == 0 ? NULL : strrchr(text, '=');
    double      value = 1.0;

    *scale = 1.0f;
    if (equals && (!args_parse_float(equals + 1, &value) || fabs(value) > (double)FLT_MAX))
        return false;
    *scale = (float)value;
    const size_t n = equals ? (size_t)(equals - text) : strlen(text);
    if (n == 0 || n >= ADAPTERS_MOST_PATH) return false;
    memcpy(dir, text, n);
    dir[n] = '\0';
    return true;
}

const char *adapters_expect(const char *text)
{
    char  dir[ADAPTERS_MOST_PATH];
    float scale;

    return adapters_split(text, dir, &scale) ? NULL : ADAPTERS_VALUE;
}

int adapters_open(adapters *a, const bamba_model *model, const arg_list *given)
{
    bamba_adapter_options o = BAMBA_ADAPTER_OPTIONS;
    bamba_error           err = { BAMBA_OK, "" };
    char                  dir[ADAPTERS_MOST_PATH];

    *a = (adapters){ NULL, 0 };
    if (given->n == 0) return EXIT_SUCCESS;
    o.log = console_log;
    if (!(a->use = calloc(given->n, sizeof *a->use))) return console_fail("out of memory");
    for (size_t i = 0; i < given->n; i++) {
        bamba_adapter *opened = NULL;
        if (!adapters_split(given->items[i], dir, &a->use[i].scale))      /* was good when read */
            return console_fail("--adapter: expected " ADAPTERS_VALUE ", found '%s'",
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

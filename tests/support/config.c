/* config.c - config.json files that tests write from lists of members. */
#include "support/config.h"

#include "support/tempdir.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const config_member *find(const config_member *list, const char *key)
{
    for (; list && list->key; list++)
        if (strcmp(list->key, key) == 0) return list;
    return NULL;
}

static void append(FILE *f, const config_member *m, bool *first)
{
    if (!m->value) return;
    fprintf(f, "%s\"%s\": %s", *first ? "" : ", ", m->key, m->value);
    *first = false;
}

char *config_text(const config_member *base, const config_member *changes)
{
    char  *text = NULL;
    size_t n = 0;
    bool   first = true;
    FILE  *f = open_memstream(&text, &n);

    if (!f) abort();
    fputc('{', f);
    for (const config_member *m = base; m->key; m++) {
        const config_member *changed = find(changes, m->key);
        append(f, changed ? changed : m, &first);
    }
    for (const config_member *m = changes; m && m->key; m++)
        if (!find(base, m->key)) append(f, m, &first);
    fputs("}\n", f);
    if (fclose(f) != 0) abort();
    return text;
}

bamba_status config_open(const config_member *base, const config_member *changes,
                         bamba_model **out, bamba_error *err)
{
    char *dir = tempdir_make();
    char *path = tempdir_path(dir, "config.json");
    char *text = config_text(base, changes);

    tempdir_write_text(dir, "config.json", text);
    const bamba_status status = bamba_model_open_config(out, path, NULL, err);
    free(text);
    free(path);
    tempdir_remove(dir);
    return status;
}

char *config_describe(const config_member *base, const config_member *changes)
{
    bamba_model *model = NULL;
    bamba_error  err = { BAMBA_OK, "" };

    config_open(base, changes, &model, &err);
    const size_t n = model ? bamba_model_describe(model, NULL, 0) : strlen(err.message);
    char        *text = malloc(n + 1);
    if (!text) abort();
    if (model) bamba_model_describe(model, text, n + 1);
    else memcpy(text, err.message, n + 1);
    bamba_model_free(model);
    return text;
}

const char *config_not_refused(const config_member *base, config_member change, const char *name,
                               bamba_status status)
{
    static char         why[600];
    const config_member changes[] = { change, { NULL, NULL } };
    bamba_model        *model = NULL;
    bamba_error         err = { BAMBA_OK, "" };
    const bamba_status  found = config_open(base, changes, &model, &err);
    const char         *place = strstr(err.message, "config.json: '");

    bamba_model_free(model);
    if (found == status && err.code == status && !model && place && strstr(place, name)
        && !strchr(err.message, '\n')) return NULL;
    snprintf(why, sizeof why, "%s: %s: status %d, expected %d naming %s: '%s'", change.key,
             change.value ? change.value : "left out", (int)found, (int)status, name, err.message);
    return why;
}

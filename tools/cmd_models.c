/* cmd_models.c - which models there are on this machine. */
#include "commands.h"

#include "bamba.h"
#include "console.h"
#include "hub.h"
#include "machine.h"
#include "text.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Whether the name of a file has an ending, and something before it. */
static bool has_ending(const char *name, const char *end) { return text_ends_with(name + 1, end); }

/* Sum up the weights; *n_lost counts files that cannot be read, as links to nothing. */
static uint64_t add_weights(const char *dir, int *n_lost)
{
    char path[PATH_MAX];
    struct stat s;
    uint64_t bytes = 0;
    DIR *all = opendir(dir);

    for (struct dirent *e; all && (e = readdir(all));) {
        if (!has_ending(e->d_name, ".safetensors") ||
            snprintf(path, sizeof path, "%s/%s", dir, e->d_name) >= (int)sizeof path) continue;
        if (stat(path, &s) == 0) bytes += (uint64_t)s.st_size;
        else ++*n_lost;
    }
    if (all) closedir(all);
    return bytes;
}

static void print_model(const char *name, const char *dir, bool only_names)
{
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    bamba_model_info info = BAMBA_MODEL_INFO;
    bamba_error err = { BAMBA_OK, "" };
    bamba_model *model = NULL;
    char config[PATH_MAX];
    int n_lost = 0;

    if (only_names) {
        puts(name);
        return;
    }
    const uint64_t bytes = add_weights(dir, &n_lost);
    bamba_status status = BAMBA_ERR_IO;
    if (snprintf(config, sizeof config, "%s/config.json", dir) < (int)sizeof config)
        status = bamba_model_open_config(&model, config, &o, &err);
    if (status == BAMBA_OK) status = bamba_model_info_get(model, &info);
    printf("%-40s %9.1f MiB  %s%s\n", name, (double)bytes / 0x1p20,
           status == BAMBA_OK ? info.architecture : "cannot be used",
           n_lost || bytes == 0 ? ", weights are missing: download it again" : "");
    if (status != BAMBA_OK && args_verbose()) console_say("%s", err.message);
    bamba_model_free(model);
}

static int is_cached(const struct dirent *e)
{
    return strncmp(e->d_name, "models--", 8) == 0;
}

/* List models--ORG--NAME as ORG/NAME, in alphabetical order. */
static void list_cache(const char *cache, bool only_names)
{
    struct dirent **all = NULL;
    const int n = scandir(cache, &all, is_cached, alphasort);

    for (int i = 0; i < n; i++) {
        char name[NAME_MAX + 1], folder[PATH_MAX], dir[PATH_MAX];
        snprintf(name, sizeof name, "%s", all[i]->d_name + 8);
        char *dashes = strstr(name, "--");
        if (dashes) {
            *dashes = '/';
            memmove(dashes + 1, dashes + 2, strlen(dashes + 2) + 1);
        }
        if (snprintf(folder, sizeof folder, "%s/%s", cache, all[i]->d_name) < (int)sizeof folder &&
            hub_find(folder, dir, sizeof dir))
            print_model(name, dir, only_names);
        free(all[i]);
    }
    free(all);
}

static void list_shapes(void)
{
    char dir[PATH_MAX];
    struct dirent **all = NULL;
    const int n = machine_find_shapes(dir, sizeof dir) ? scandir(dir, &all, NULL, alphasort) : 0;

    for (int i = 0; i < n; i++) {
        if (has_ending(all[i]->d_name, ".json"))
            printf("%.*s\n", (int)(strlen(all[i]->d_name) - 5), all[i]->d_name);
        free(all[i]);
    }
    free(all);
}

int cmd_models(const command *self, int argc, char **argv)
{
    bool only_names = false, shapes = false;
    char cache[PATH_MAX], dir[PATH_MAX];
    const arg args[] = {
        ARG_FLAG_ROW("--names", &only_names, "names alone, as -m takes them"),
        ARG_FLAG_ROW("--shapes", &shapes, "the shapes that bench --shape knows instead"),
        ARG_END
    };

    const int code = args_read(self, args, argc, argv);
    if (code != ARGS_READ) return code;
    if (shapes) {
        list_shapes();
        return console_finish(EXIT_SUCCESS);
    }
    if (machine_find_model(dir, sizeof dir)) print_model(dir, dir, only_names);
    hub_cache(cache, sizeof cache);
    list_cache(cache, only_names);
    if (!only_names) console_say("downloaded models are looked for in %s", cache);
    return console_finish(EXIT_SUCCESS);
}

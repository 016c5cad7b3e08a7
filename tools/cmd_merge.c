/* cmd_merge.c - a model written anew with adapters merged into its weights. */
#include "commands.h"

#include "adapters.h"
#include "console.h"
#include "setup.h"

#include <stdlib.h>
#include <string.h>

static int merge(setup *s, const setup_flags *f, const char *out, bamba_adapter_source *source)
{
    static char what[] = "writing";
    bamba_model_options o;
    bamba_error err = { BAMBA_OK, "" };

    int code = setup_find(s, f);
    if (code == EXIT_SUCCESS) code = setup_model_options(s, f, &o);
    if (code != EXIT_SUCCESS) return code;
    o.progress_context = what;
    const bamba_status status = bamba_merge(s->dir, out, source, f->adapter.n, &o, NULL, &err);
    console_progress_clear();
    return status == BAMBA_OK ? EXIT_SUCCESS : console_fail_library(status, &err);
}

/* Split the values of --adapter, and merge. */
static int split_and_merge(setup *s, const setup_flags *f, const char *out)
{
    const size_t          n = f->adapter.n;
    bamba_adapter_source *source = calloc(n, sizeof *source);
    char                 *dirs = malloc(n * ADAPTERS_MOST_PATH);
    int                   code = EXIT_SUCCESS;

    if (!source || !dirs) code = console_fail("out of memory");
    for (size_t i = 0; i < n && code == EXIT_SUCCESS; i++) {
        char *dir = dirs + i * ADAPTERS_MOST_PATH;
        source[i].dir = dir;
        if (!adapters_split(f->adapter.items[i], dir, &source[i].scale))  /* was good when read */
            code = console_fail("--adapter: expected " ADAPTERS_VALUE ", found '%s'",
                                f->adapter.items[i]);
    }
    if (code == EXIT_SUCCESS) code = merge(s, f, out, source);
    free(dirs);
    free(source);
    return code;
}

int cmd_merge(const command *self, int argc, char **argv)
{
    setup s = SETUP;
    setup_flags f = SETUP_FLAGS;
    const char *out = NULL;
    const arg args[] = {
        SETUP_MODEL_ROW(&f),
        ADAPTERS_ROW(&f.adapter),
        ARG_TEXT_ROW("-o, --output", "DIR", &out, "directory to make: a new or an empty one"),
        ARG_WORD_ROW("--type", "TYPE", &f.weight_type, setup_weight_types,
          "type of the weights that are written", .usual = "stored"),
        TYPE_RULES_ROW(&f.type_of),
        ARG_HEAD("Machine"),
        SETUP_CPU_ROW(&f.cpu),
        ARG_INT_ROW("-t, --threads", "N", &f.n_threads, 0, 1024, "threads",
          .usual = "0, one for each core"),
        ARG_END
    };

    int code = args_read(self, args, argc, argv);
    if (code == ARGS_READ && !out) code = args_wrong(self, "-o DIR is needed: where to write");
    if (code == ARGS_READ && f.adapter.n == 0)
        code = args_wrong(self, "--adapter DIR is needed: what to merge");
    if (code == ARGS_READ) {
        console_catch_interrupt();
        code = split_and_merge(&s, &f, out);
    }
    setup_close(&s);
    setup_free_flags(&f);
    return code;
}

/* cmd_quantize.c - a model written anew with its weights in another type. */
#include "commands.h"

#include "console.h"
#include "setup.h"

#include <stdlib.h>

static int quantize(setup *s, const setup_flags *f, const char *out, int64_t shard_bytes)
{
    static char what[] = "writing";
    bamba_model_options o;
    bamba_quantize_options q = BAMBA_QUANTIZE_OPTIONS;
    bamba_error err = { BAMBA_OK, "" };

    int code = setup_find(s, f);
    if (code == EXIT_SUCCESS) code = setup_model_options(s, f, &o);
    if (code != EXIT_SUCCESS) return code;
    o.progress_context = what;
    q.shard_bytes = (uint64_t)shard_bytes;
    const bamba_status status = bamba_quantize(s->dir, out, &o, &q, &err);
    console_progress_clear();
    return status == BAMBA_OK ? EXIT_SUCCESS : console_fail_library(status, &err);
}

int cmd_quantize(const command *self, int argc, char **argv)
{
    setup s = SETUP;
    setup_flags f = SETUP_FLAGS;
    const char *out = NULL;
    int64_t shard_bytes = 0;
    const arg args[] = {
        SETUP_MODEL_ROW(&f),
        ARG_TEXT_ROW("-o, --output", "DIR", &out, "directory to make: a new or an empty one"),
        ARG_WORD_ROW("--type", "TYPE", &f.weight_type, setup_weight_types,
          "type of the weights that are written", .usual = "stored",
          .more = "q8 and q4 have whole numbers of 8 and 4 bits with a scale a block of 32; q4 "
          "keeps in q8 what suffers most. Norms and other small tensors stay as they are."),
        TYPE_RULES_ROW(&f.type_of),
        SETUP_CALIBRATION_ROW(&f),
        ARG_NUMBER_ROW(ARG_INT64, "--shard-bytes", "N", &shard_bytes, 1, 9007199254740992.0,
          "most bytes of weights in one file", .usual = "5000000000"),
        ARG_FLAG_ROW("--strict", &f.strict, "refuse weights that hold tensors the model does not "
          "need"),
        ARG_HEAD("Machine"),
        SETUP_CPU_ROW(&f.cpu),
        ARG_INT_ROW("-t, --threads", "N", &f.n_threads, 0, 1024, "threads",
          .usual = "0, one for each core"),
        ARG_END
    };

    int code = args_read(self, args, argc, argv);
    if (code == ARGS_READ && !out) code = args_wrong(self, "-o DIR is needed: where to write");
    if (code == ARGS_READ && !f.weight_type && f.type_of.n == 0)
        code = args_wrong(self, "--type or --type-of is needed: what to write");
    if (code == ARGS_READ) {
        console_catch_interrupt();
        code = quantize(&s, &f, out, shard_bytes);
    }
    setup_close(&s);
    setup_free_flags(&f);
    return code;
}

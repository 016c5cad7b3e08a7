/* cmd_quantize.c - a model written anew with its weights in another type. */
#include "commands.h"

#include "console.h"
#include "setup.h"

#include <stdlib.h>

static int quantize(const char *dir, const char *out, const setup_flags *f, int64_t shard_bytes)
{
    static char what[] = "writing";
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    bamba_quantize_options q = BAMBA_QUANTIZE_OPTIONS;
    bamba_error err = { BAMBA_OK, "" };

    o.weight_type = (bamba_type)f->weight_type;
    o.cpu = f->cpu;
    o.strict = f->strict;
    o.n_threads = f->n_threads;
    o.progress = console_progress;
    o.progress_context = what;
    o.log = console_log;
    q.shard_bytes = (uint64_t)shard_bytes;
    const bamba_status status = bamba_quantize(dir, out, &o, &q, &err);
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
          "type of the weights that are written"),
        ARG_NUMBER_ROW(ARG_INT64, "--shard-bytes", "N", &shard_bytes, 0, 9007199254740992.0,
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
    if (code != ARGS_READ) return code;
    if (!out) return args_wrong(self, "-o DIR is needed: where to write");
    if (!f.weight_type) return args_wrong(self, "--type is needed: what to write");
    console_catch_interrupt();
    code = setup_find(&s, &f);
    return code == EXIT_SUCCESS ? quantize(s.dir, out, &f, shard_bytes) : code;
}

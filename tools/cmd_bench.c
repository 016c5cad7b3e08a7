/* cmd_bench.c - how fast a model is here, beside what this machine can do. */
#include "commands.h"

#include "bench.h"
#include "console.h"
#include "setup.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_SOURCES = 64 };

typedef struct flags {
    bench_options o;
    arg_list      shapes, dirs;
    const char   *prompts, *generated, *depths, *sequences, *threads, *types, *kv_types;
    const char   *figure_path;
    int           figure;
    bool          limits;
    bench_source *source;                 /* [n_sources] */
    size_t        n_sources;
    char         *names;                  /* of the shapes, cut at commas */
} flags;

static int read_lists(const command *self, flags *f)
{
    bench_options *o = &f->o;
    const bool figure = f->figure != 0;

    if (!f->prompts) f->prompts = figure ? "1024" : "512";
    if (!f->depths) f->depths = figure ? "2048-65536*2" : "0";
    if (!f->sequences) f->sequences = figure ? "1-32*2" : "1";
    const struct { const char *name, *text; int lo, hi; bench_list *list; } lists[] = {
        { "-p", f->prompts, 0, 1 << 24, &o->prompts },
        { "-n", f->generated, 0, 1 << 24, &o->generated },
        { "-d", f->depths, 0, 1 << 24, &o->depths },
        { "-npl", f->sequences, 1, 65536, &o->sequences },
        { "-t", f->threads, 0, 1024, &o->threads },
    };
    int code = ARGS_READ;

    for (size_t i = 0; i < sizeof lists / sizeof *lists && code == ARGS_READ; i++)
        code = bench_read_list(self, lists[i].name, lists[i].text, lists[i].lo, lists[i].hi,
                               lists[i].list);
    if (code == ARGS_READ)
        code = bench_read_words(self, "--type", f->types, setup_weight_types, &o->types);
    if (code == ARGS_READ)
        code = bench_read_words(self, "--kv-type", f->kv_types, setup_kv_types, &o->kv_types);
    return code;
}

/* Shapes as named, then checkpoints; without both the embedded model. */
static int find_sources(flags *f, setup *s, const setup_flags *none)
{
    size_t length = 1;
    int code = EXIT_SUCCESS;

    for (size_t i = 0; i < f->shapes.n; i++) length += strlen(f->shapes.items[i]) + 1;
    f->names = calloc(length, 1);
    f->source = calloc(MOST_SOURCES, sizeof *f->source);
    if (!f->names || !f->source) return console_fail("out of memory");
    for (size_t i = 0; i < f->shapes.n; i++) {
        strcat(f->names, f->shapes.items[i]);
        strcat(f->names, ",");
    }
    for (char *at = f->names; *at && code == EXIT_SUCCESS;) {
        char *end = strchr(at, ',');
        *end = '\0';
        if (f->n_sources == MOST_SOURCES)
            return console_fail("more than %d models", MOST_SOURCES);
        code = bench_find_shape(&f->source[f->n_sources++], at);
        at = end + 1;
    }
    for (size_t i = 0; i < f->dirs.n && code == EXIT_SUCCESS; i++) {
        if (f->n_sources == MOST_SOURCES)
            return console_fail("more than %d models", MOST_SOURCES);
        code = bench_find_checkpoint(&f->source[f->n_sources++], f->dirs.items[i]);
    }
    if (code == EXIT_SUCCESS && f->n_sources == 0) {
        code = setup_find(s, none);
        if (code == EXIT_SUCCESS)
            code = bench_find_checkpoint(&f->source[f->n_sources++], s->dir);
    }
    return code;
}

static int run_test(const bench_options *o, bench_engine *e, const bench_test *t)
{
    bench_row row;
    const int code = bench_measure(e, t, &row);

    if (code == EXIT_SUCCESS) {
        console_progress_clear();
        bench_print_row(o, &row);
        if (row.noise[0]) console_say("%s %s: %s", row.model_type, row.test_name, row.noise);
    }
    free(row.samples_ns);
    return code;
}

/* Of one model on one number of threads: depths, batches, prompts, then generated. */
static int run_tests(const bench_options *o, bench_engine *e)
{
    int code = EXIT_SUCCESS;

    for (size_t d = 0; d < o->depths.n; d++)
        for (size_t b = 0; b < o->sequences.n; b++) {
            bench_test t = { 0, 0, o->depths.value[d], o->sequences.value[b] };
            for (size_t i = 0; i < o->prompts.n && code == EXIT_SUCCESS; i++) {
                t.n_prompt = o->prompts.value[i];
                if (t.n_prompt > 0) code = run_test(o, e, &t);
            }
            t.n_prompt = 0;
            for (size_t i = 0; i < o->generated.n && code == EXIT_SUCCESS; i++) {
                t.n_gen = o->generated.value[i];
                if (t.n_gen > 0) code = run_test(o, e, &t);
            }
        }
    return code;
}

static int run_model(const bench_options *o, const bench_source *s, int type, int kv_type)
{
    bench_model m;
    int code = bench_open(&m, s, o, type, kv_type, o->threads.value[0]);

    for (size_t i = 0; i < o->threads.n && code == EXIT_SUCCESS; i++) {
        bench_engine e;
        code = bench_start(&e, o, &m, o->threads.value[i]);
        if (code == EXIT_SUCCESS && e.mapped_gbs > 0.0)
            console_say("%s: reading its mapped files gives %.1f GB/s on %d threads", m.type,
                        e.mapped_gbs, bamba_engine_threads(e.engine));
        if (code == EXIT_SUCCESS) code = run_tests(o, &e);
        bench_stop(&e);
    }
    bench_close(&m);
    return code;
}

static int run_table(const flags *f)
{
    const bench_options *o = &f->o;
    int code = EXIT_SUCCESS;

    for (size_t s = 0; s < f->n_sources; s++) /* all are refused before one is measured */
        for (size_t t = 0; t < o->types.n; t++)
            for (size_t k = 0; k < o->kv_types.n && code == EXIT_SUCCESS; k++)
                code = bench_check(&f->source[s], o, o->types.value[t], o->kv_types.value[k]);
    if (code != EXIT_SUCCESS) return code;
    bench_print_begin(o);
    for (size_t s = 0; s < f->n_sources; s++)
        for (size_t t = 0; t < o->types.n; t++)
            for (size_t k = 0; k < o->kv_types.n && code == EXIT_SUCCESS; k++)
                code = run_model(o, &f->source[s], o->types.value[t], o->kv_types.value[k]);
    bench_print_end(o);
    return console_finish(code);
}

static bool has_work(const bench_options *o)
{
    int most = 0;

    for (size_t i = 0; i < o->prompts.n; i++) if (o->prompts.value[i] > most) most = 1;
    for (size_t i = 0; i < o->generated.n; i++) if (o->generated.value[i] > most) most = 1;
    return most > 0;
}

static int run(const command *self, flags *f, setup *s, const setup_flags *none)
{
    int code = read_lists(self, f);

    if (code != ARGS_READ) return code;
    if (f->o.ops && (f->o.format == BENCH_CSV || f->o.format == BENCH_SQL))
        return args_wrong(self, "--ops needs -o md, json or jsonl");
    console_catch_interrupt();
    if (f->limits) return bench_limits(&f->o, self);
    if (!has_work(&f->o)) return args_wrong(self, "expected a length above 0 in -p or -n");
    code = find_sources(f, s, none);
    if (code != EXIT_SUCCESS) return code;
    if (f->figure == BENCH_NO_FIGURE) return run_table(f);
    if (f->n_sources != 2)
        return args_wrong(self, "--figure compares two models, found %zu: --shape A,B",
                          f->n_sources);
    return bench_figure(&f->o, f->source, f->figure, f->figure_path);
}

int cmd_bench(const command *self, int argc, char **argv)
{
    static const char *const formats[] = { "md", "csv", "json", "jsonl", "sql", NULL };
    static const char *const fills[] = { "synthetic", "real", NULL };
    static const char *const loads[] = { "mmap", "copy", NULL };
    static const char *const figures[] = { "none", "throughput", "latency", NULL };
    setup s = SETUP;
    const setup_flags none = SETUP_FLAGS;
    flags f = { .o = { .repetitions = 5, .seed = 1 },
                .generated = "128",
                .threads = "0",
                .types = "stored",
                .kv_types = "default",
                .figure_path = "figure" };
    const arg args[] = {
        { "--shape", "NAME,...",
          "shapes of models/shapes or files config.json, with random "
          "weights; may be repeated",
          ARG_LIST, &f.shapes, 0, 0, NULL },
        { "-m, --model", "DIR", "model directory; may be repeated", ARG_LIST, &f.dirs, 0, 0,
          NULL },
        { "-p, --n-prompt", "LIST", "lengths of prompts (default: 512)", ARG_TEXT, &f.prompts,
          0, 0, NULL },
        { "-n, --n-gen", "LIST", "tokens generated (default: 128)", ARG_TEXT, &f.generated, 0,
          0, NULL },
        { "-d, --n-depth", "LIST", "tokens absorbed before (default: 0)", ARG_TEXT, &f.depths,
          0, 0, NULL },
        { "-npl, --n-parallel", "LIST", "sequences run together (default: 1)", ARG_TEXT,
          &f.sequences, 0, 0, NULL },
        { "-t, --threads", "LIST", "threads (default: 0, one for each core)", ARG_TEXT,
          &f.threads, 0, 0, NULL },
        { "--type", "LIST", "weights: stored, f32, bf16, f16 (default: stored)", ARG_TEXT,
          &f.types, 0, 0, NULL },
        { "--kv-type, -ctk, --cache-type-k", "LIST",
          "attention cache: f32, bf16, f16 (default: f16)", ARG_TEXT, &f.kv_types, 0, 0, NULL },
        SETUP_BATCH_ARG(&f.o),
        { "-r, --repetitions", "N", "samples of a test, after a warm-up (default: 5)", ARG_INT,
          &f.o.repetitions, 1, 1000, NULL },
        { "-o, --output", "FORMAT", "md, csv, json, jsonl, sql (default: md)", ARG_WORD,
          &f.o.format, 0, 0, formats },
        { "--fill", "HOW", "how depths are reached: synthetic, real (default: synthetic)",
          ARG_WORD, &f.o.real_fill, 0, 0, fills },
        { "--load", "HOW", "weights of -m: mmap, copy (default: mmap)", ARG_WORD, &f.o.copy, 0,
          0, loads },
        { "--ops", NULL, "where the time goes, by kind of operation", ARG_FLAG, &f.o.ops, 0, 0,
          NULL },
        { "--limits", NULL, "what the machine can do, no model", ARG_FLAG, &f.limits, 0, 0,
          NULL },
        { "--figure", "WHAT", "throughput or latency of two shapes over whole texts", ARG_WORD,
          &f.figure, 0, 0, figures },
        { "--figure-file", "PATH",
          "where it goes, with .csv, .svg, .png added (default: figure)", ARG_TEXT,
          &f.figure_path, 0, 0, NULL },
        { "--pin", NULL, "keep each thread on a processor of its own", ARG_FLAG, &f.o.pin, 0, 0,
          NULL },
        { "--progress", NULL, "say how far it is", ARG_FLAG, &f.o.progress, 0, 0, NULL },
        { "-s, --seed", "N", "seed of weights and tokens (default: 1)", ARG_INT64, &f.o.seed, 0,
          0x1p62, NULL },
        { "--cpu", "LEVEL", "instruction set: c, avx2, ... (default: $BAMBA_CPU, or the best)",
          ARG_TEXT, &f.o.cpu, 0, 0, NULL },
        ARG_END
    };

    int code = args_read(self, args, argc, argv);
    if (code == ARGS_READ) code = run(self, &f, &s, &none);
    free(f.shapes.items);
    free(f.dirs.items);
    free(f.source);
    free(f.names);
    setup_close(&s);
    return code;
}

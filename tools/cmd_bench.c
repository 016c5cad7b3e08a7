/* cmd_bench.c - how fast a model is here, beside what this machine can do. */
#include "commands.h"

#include "bench.h"
#include "console.h"
#include "setup.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_SOURCES = 64 };

/* An option that takes a list. */
typedef struct list_flag {
    const char        *names, *help;
    const char        *usual, *for_figure;            /* what it is if it is not given */
    const char        *text;              /* as given, or NULL */
    int                lo, hi;
    const char *const *words;
    bench_list        *list;
} list_flag;

typedef struct flags {
    bench_options o;
    arg_list      shapes, dirs;
    const char   *figure_path;
    int           figure;                 /* bench_figure_kind */
    bool          limits;
    bench_source *source;                 /* [n_sources] */
    size_t        n_sources;
    size_t        n_rows;                 /* printed */
} flags;

static int read_lists(const command *self, const flags *f, const list_flag *l, size_t n)
{
    int code = ARGS_READ;

    for (; n > 0 && code == ARGS_READ; n--, l++) {
        const char *text = f->figure == BENCH_NO_FIGURE ? l->usual : l->for_figure;
        char name[16];
        if (l->text) text = l->text;
        snprintf(name, sizeof name, "%.*s", (int)strcspn(l->names, ","), l->names);
        code = bench_read_list(self, name, text, l->lo, l->hi, l->words, l->list);
    }
    return code;
}

static int add_source(flags *f, const char *name, size_t n_bytes, bool is_shape)
{
    if (f->n_sources == MOST_SOURCES) return console_fail("more than %d models", MOST_SOURCES);
    return bench_find(&f->source[f->n_sources++], name, n_bytes, is_shape);
}

/* Finds shapes in the order named, then checkpoints; without both the embedded model. */
static int find_sources(flags *f)
{
    const setup_flags none = SETUP_FLAGS;
    setup s = SETUP;
    int code = EXIT_SUCCESS;

    f->source = calloc(MOST_SOURCES, sizeof *f->source);
    if (!f->source) return console_fail("out of memory");
    for (size_t i = 0; i < f->shapes.n; i++)
        for (const char *at = f->shapes.items[i]; at && code == EXIT_SUCCESS;) {
            const char *comma = strchr(at, ',');
            code = add_source(f, at, comma ? (size_t)(comma - at) : strlen(at), true);
            at = comma ? comma + 1 : NULL;
        }
    for (size_t i = 0; i < f->dirs.n && code == EXIT_SUCCESS; i++)
        code = add_source(f, f->dirs.items[i], strlen(f->dirs.items[i]), false);
    if (code != EXIT_SUCCESS || f->n_sources > 0) return code;
    code = setup_find(&s, &none);
    return code == EXIT_SUCCESS ? add_source(f, s.dir, strlen(s.dir), false) : code;
}

/* Runs one model on one number of threads: depths, batches, prompts, then generations. */
static int run_tests(flags *f, bench_model *m)
{
    const bench_options *o = &f->o;
    const size_t n_prompts = o->prompts.n, n = n_prompts + o->generated.n;
    int code = EXIT_SUCCESS;

    for (size_t d = 0; d < o->depths.n; d++)
        for (size_t i = 0; i < n * o->sequences.n && code == EXIT_SUCCESS; i++) {
            const size_t k = i % n;       /* of the prompts, behind them of the generations */
            const bench_test t = {
                .n_prompt = k < n_prompts ? o->prompts.value[k] : 0,
                .n_gen = k < n_prompts ? 0 : o->generated.value[k - n_prompts],
                .n_depth = o->depths.value[d], .n_seqs = o->sequences.value[i / n],
            };
            bench_run r;
            if (t.n_prompt + t.n_gen == 0) continue;
            code = bench_measure(&r, m, &t);
            if (code == EXIT_SUCCESS) bench_print_row(&r, f->n_rows++ == 0);
            if (code == EXIT_SUCCESS) code = console_flush();
            bench_forget(&r);
        }
    return code;
}

static int run_model(flags *f, const bench_source *s, int type, int kv_type)
{
    const bench_options *o = &f->o;
    bench_model m;
    int code = bench_open(&m, s, o, type, kv_type);

    for (size_t i = 0; i < o->threads.n && code == EXIT_SUCCESS; i++) {
        code = bench_start(&m, o->threads.value[i]);
        if (code == EXIT_SUCCESS && m.mapped_gbs > 0.0)
            console_say("%s: reading its mapped files gives %.1f GB/s on %d threads", m.type,
                        m.mapped_gbs, bamba_engine_threads(m.engine));
        if (code == EXIT_SUCCESS) code = run_tests(f, &m);
    }
    bench_close(&m);
    return code;
}

/* Checks all models before it measures one. */
static int run_table(flags *f)
{
    const bench_options *o = &f->o;
    int code = EXIT_SUCCESS;

    for (int measuring = 0; measuring < 2; measuring++)
        for (const bench_source *s = f->source; s < f->source + f->n_sources; s++)
            for (size_t i = 0; i < o->types.n * o->kv_types.n && code == EXIT_SUCCESS; i++) {
                const int type = o->types.value[i / o->kv_types.n];
                const int kv_type = o->kv_types.value[i % o->kv_types.n];
                code = measuring ? run_model(f, s, type, kv_type)
                                 : bench_check(s, o, type, kv_type, true, NULL);
            }
    if (f->n_rows) bench_print_end(o);
    return console_finish(code);
}

static int run(const command *self, flags *f)
{
    const bench_options *o = &f->o;

    if (o->ops && (o->format == BENCH_CSV || o->format == BENCH_SQL))
        return args_wrong(self, "--ops needs -o md, json or jsonl");
    console_catch_interrupt();
    if (f->limits) return bench_limits(o, self);
    if (o->prompts.largest + o->generated.largest == 0)
        return args_wrong(self, "expected a length above 0 in -p or -n");
    const int code = find_sources(f);
    if (code != EXIT_SUCCESS) return code;
    if (f->figure == BENCH_NO_FIGURE) return run_table(f);
    if (f->n_sources != 2)
        return args_wrong(self, "--figure compares two models, found %zu: --shape A,B",
                          f->n_sources);
    return bench_figure(o, f->source, f->figure, f->figure_path);
}

#define LIST_ROW(i) \
    ARG_TEXT_ROW(lists[i].names, "LIST", &lists[i].text, lists[i].help, .usual = lists[i].usual, \
                 .words = lists[i].words)

int cmd_bench(const command *self, int argc, char **argv)
{
    static const char *const formats[] = { "md", "csv", "json", "jsonl", "sql", NULL };
    static const char *const fills[] = { "synthetic", "real", NULL };
    static const char *const loads[] = { "mmap", "copy", NULL };
    static const char *const figures[] = { "none", "throughput", "latency", NULL };
    flags f = { .o = { .repetitions = 5, .n_batch = 512, .seed = 1 }, .figure_path = "figure" };
    list_flag lists[] = {
        { "-p, --n-prompt", "lengths of prompts", "512", "1024", NULL,
          0, 1 << 24, NULL, &f.o.prompts },
        { "-n, --n-gen", "tokens generated", "128", "128", NULL,
          0, 1 << 24, NULL, &f.o.generated },
        { "-d, --n-depth", "tokens absorbed before", "0", "2048-65536*2", NULL,
          0, 1 << 24, NULL, &f.o.depths },
        { "-npl, --n-parallel", "sequences run together", "1", "1-32*2", NULL,
          1, 65536, NULL, &f.o.sequences },
        { "-t, --threads", "threads, 0 = one for each core", "0", "0", NULL,
          0, 1024, NULL, &f.o.threads },
        { "--type", "weights", "stored", "stored", NULL,
          0, 3, setup_weight_types, &f.o.types },
        { "--kv-type, -ctk, --cache-type-k", "attention cache",
          "default", "default", NULL, 0, 3, setup_kv_types, &f.o.kv_types },
    };
    const arg args[] = {
        ARG_LIST_ROW("--shape", "SHAPE,...", &f.shapes, "shapes of models/shapes or files "
                     "config.json, with random weights; may be repeated"),
        ARG_LIST_ROW("-m, --model", "DIR", &f.dirs, "model directory; may be repeated"),
        LIST_ROW(0), LIST_ROW(1), LIST_ROW(2), LIST_ROW(3), LIST_ROW(4), LIST_ROW(5), LIST_ROW(6),
        SETUP_BATCH_ROW(&f.o),
        ARG_INT_ROW("-r, --repetitions", "N", &f.o.repetitions, 1, BENCH_REPETITIONS,
                    "samples of a test, after a warm-up", .usual = "5"),
        ARG_WORD_ROW("-o, --output", "FORMAT", &f.o.format, formats, "form of the table",
                     .usual = "md"),
        ARG_WORD_ROW("--fill", "HOW", &f.o.real_fill, fills, "how depths are reached",
                     .usual = "synthetic", .more = "Synthetic depths are random values; for real "
                     "ones tokens are fed."),
        ARG_WORD_ROW("--load", "HOW", &f.o.copy, loads, "weights of -m", .usual = "mmap",
                     .more = "Mapped weights are used in place."),
        ARG_FLAG_ROW("--ops", &f.o.ops, "where the time goes, by kind of operation"),
        ARG_FLAG_ROW("--limits", &f.limits, "what the machine can do, no model"),
        ARG_WORD_ROW("--figure", "WHAT", &f.figure, figures, "two shapes over whole texts",
                     .usual = "none", .more = "Over batch and length; the pictures need gnuplot."),
        ARG_TEXT_ROW("--figure-file", "PATH", &f.figure_path,
                     "where it goes, with .csv, .svg, .png added", .usual = "figure"),
        ARG_FLAG_ROW("--pin", &f.o.pin, "keep each thread on a processor of its own"),
        ARG_FLAG_ROW("--progress", &f.o.progress, "say how far it is"),
        ARG_NUMBER_ROW(ARG_INT64, "-s, --seed", "N", &f.o.seed, 0, 0x1p62,
                       "seed of weights and tokens", .usual = "1"),
        SETUP_CPU_ROW(&f.o.cpu),
        ARG_END
    };

    int code = args_read(self, args, argc, argv);
    if (code == ARGS_READ) code = read_lists(self, &f, lists, sizeof lists / sizeof *lists);
    if (code == ARGS_READ) code = run(self, &f);
    free(f.shapes.items);
    free(f.dirs.items);
    free(f.source);
    return code;
}

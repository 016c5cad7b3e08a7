/* cmd_bench.c - how fast a model is here, beside what this machine can do. */
#include "commands.h"

#include "bench.h"
#include "console.h"
#include "pace.h"
#include "setup.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_SOURCES = 64, LONGEST = 1 << 24, USUAL_SEED = 1 };

/* The options that take lists. */
static const struct list_flag {
    const char        *names, *help, *usual;
    int                lo, hi;
    const char *const *words;
} lists[BENCH_LISTS] = {
    [BENCH_PROMPT] = { "-p, --n-prompt", "lengths of prompts", "512", 0, LONGEST, NULL },
    [BENCH_GEN] = { "-n, --n-gen", "tokens generated", "128", 0, LONGEST, NULL },
    [BENCH_DEPTH] = { "-d, --n-depth", "tokens absorbed before", "0", 0, LONGEST, NULL },
    [BENCH_SEQS] = { "-npl, --n-parallel", "sequences run together", "1", 1, 65536, NULL },
    [BENCH_BATCH] = { "-b, --batch-size", "tokens fed at once", "2048", 1, 65536, NULL },
    [BENCH_UBATCH] = { "-ub, --ubatch-size", "tokens run at once, of those of -b", "512", 1, 65536,
                       NULL },
    [BENCH_THREADS] = { "-t, --threads", "threads, 0 = one for each core", "0", 0, 1024, NULL },
    [BENCH_PIN] = { "--cpu-strict", "1: each thread on a processor of its own", "0", 0, 1, NULL },
    [BENCH_TYPE] = { "--type", "weights", "stored", 0, 0, setup_weight_types },
    [BENCH_KV] = { "-ctk, --cache-type-k, --kv-type", "attention cache", "f16", 0, 0,
                   setup_kv_types },
    [BENCH_STATE] = { "--state-type", "states of state-space layers", "f32", 0, 0,
                      setup_state_types },
    [BENCH_GUESS] = { "--draft-max, --draft-n", "guesses a pass, for --accept", "8", 1, PACE_MOST,
                      NULL },
    [BENCH_ACCEPT] = { "--accept", "time decoding with guesses, of which so many per cent stand "
                       "where those before do, beside decoding without", "0", 0, 100, NULL },
    [BENCH_LOAD] = { "-lm, --load-mode, --load", "weights of -m, none = copied, else mapped",
                     "auto", 0, 0, bench_loads },
};

typedef struct flags {
    bench_options o;
    arg_list      shapes, dirs, given[BENCH_LISTS], both, cache_v, mmap;
    bool          limits, pin;
    bench_source *source;                 /* [n_sources] */
    size_t        n_sources, n_rows;      /* n_rows printed */
} flags;

/* -------------------------------------------------------------- options ------------------- */

static int read_list(const command *self, int i, const arg_list *given, bench_list *list)
{
    const struct list_flag *l = &lists[i];
    const size_t n = given->n ? given->n : 1;
    int code = ARGS_READ;
    char name[32];

    snprintf(name, sizeof name, "%.*s", (int)strcspn(l->names, ","), l->names);
    for (size_t k = 0; k < n && code == ARGS_READ; k++)
        code = bench_read_list(self, name, given->n ? given->items[k] : l->usual, l->lo, l->hi,
                               l->words, list);
    return code;
}

/* Adds what -mmp says by 0 and 1 to what -lm says by name. */
static int read_mmap(const command *self, const flags *f, bench_list *loads)
{
    bench_list said = { .n = 0 };
    int code = ARGS_READ;

    for (size_t i = 0; i < f->mmap.n && code == ARGS_READ; i++)
        code = bench_read_list(self, "-mmp", f->mmap.items[i], 0, 1, NULL, &said);
    if (said.n && !f->given[BENCH_LOAD].n) loads->n = 0;
    for (size_t i = 0; i < said.n && loads->n < BENCH_MOST; i++)
        loads->value[loads->n++] = said.value[i] ? BENCH_MAPPED : BENCH_COPIED;
    return code;
}

/* Reads what may be said more than once, or of several values. */
static int read_lists(const command *self, flags *f)
{
    bench_options *o = &f->o;
    bench_list cache_v = { .n = 0 }, *kv = &o->list[BENCH_KV];
    int code = ARGS_READ;

    for (int i = 0; i < BENCH_LISTS && code == ARGS_READ; i++)
        code = read_list(self, i, &f->given[i], &o->list[i]);
    if (code == ARGS_READ) code = read_mmap(self, f, &o->list[BENCH_LOAD]);
    if (f->cache_v.n && code == ARGS_READ)
        code = read_list(self, BENCH_KV, &f->cache_v, &cache_v);
    for (size_t i = 0; i < f->both.n && code == ARGS_READ; i++) {
        bench_list pair = { .n = 0 };
        code = bench_read_list(self, "-pg", f->both.items[i], 0, LONGEST, NULL, &pair);
        if (code == ARGS_READ && (pair.n != 2 || i == BENCH_MOST))
            return args_wrong(self, "-pg: expected two lengths as in 512,128, found '%s'",
                              f->both.items[i]);
        for (int k = 0; k < 2 && code == ARGS_READ; k++) {
            o->both[k].value[o->both[k].n++] = pair.value[k];
            if (pair.value[k] > o->both[k].largest) o->both[k].largest = pair.value[k];
        }
    }
    if (f->pin) o->list[BENCH_PIN] = (bench_list){ { 1 }, 1, 1 };
    if (code != ARGS_READ || !f->cache_v.n) return code;
    if (cache_v.n == kv->n && memcmp(cache_v.value, kv->value, kv->n * sizeof *kv->value) == 0)
        return code;
    return args_wrong(self, "-ctv: expected the types of -ctk, the attention cache has one for "
                      "keys and values");
}

/* Adds what a list names with commas between; a name with a comma may be that of a file. */
static int add_sources(flags *f, const char *names, bool is_shape)
{
    int code = EXIT_SUCCESS;

    for (const char *at = names; at && code == EXIT_SUCCESS;) {
        const char *comma = access(at, F_OK) == 0 ? NULL : strchr(at, ',');
        if (f->n_sources == MOST_SOURCES)
            return console_fail("expected at most %d models in --shape and -m, found more",
                                MOST_SOURCES);
        code = bench_find(&f->source[f->n_sources++], at,
                          comma ? (size_t)(comma - at) : strlen(at), is_shape);
        at = comma ? comma + 1 : NULL;
    }
    return code;
}

/* Finds shapes in the order named, then checkpoints; without both the embedded model. */
static int find_sources(flags *f)
{
    int code = EXIT_SUCCESS;

    f->source = calloc(MOST_SOURCES, sizeof *f->source);
    if (!f->source) return console_fail("out of memory");
    for (size_t i = 0; i < f->shapes.n + f->dirs.n && code == EXIT_SUCCESS; i++)
        code = i < f->shapes.n ? add_sources(f, f->shapes.items[i], true)
                               : add_sources(f, f->dirs.items[i - f->shapes.n], false);
    if (f->n_sources == 0) code = bench_find(&f->source[f->n_sources++], NULL, 0, false);
    return code;
}

/* -------------------------------------------------------------- tests --------------------- */

/* Runs the tests of one setting: prompts, then generations, then both. */
static int run_tests(flags *f, bench_model *m)
{
    const bench_options *o = &f->o;
    const bench_list *prompts = &o->list[BENCH_PROMPT], *gen = &o->list[BENCH_GEN];
    const size_t n_single = prompts->n + gen->n;
    int code = EXIT_SUCCESS;

    for (size_t i = 0; i < n_single + o->both[0].n && code == EXIT_SUCCESS; i++) {
        bench_test t = { 0, 0, m->setting[BENCH_DEPTH], m->setting[BENCH_SEQS] };
        bench_run r;
        if (i < prompts->n) t.n_prompt = prompts->value[i];
        else if (i < n_single) t.n_gen = gen->value[i - prompts->n];
        else {
            t.n_prompt = o->both[0].value[i - n_single];
            t.n_gen = o->both[1].value[i - n_single];
        }
        if (t.n_prompt + t.n_gen == 0) continue;
        code = bench_measure(&r, m, &t);
        if (code == EXIT_SUCCESS) code = bench_print_row(&r, f->n_rows == 0);
        if (code == EXIT_SUCCESS) {
            f->n_rows++;
            code = console_flush();
        }
        bench_forget(&r);
    }
    return code;
}

/* Runs all settings of all models; checks all of them before it measures one. */
static int run_table(flags *f)
{
    const bench_options *o = &f->o;
    bench_model m = { .model = NULL };
    size_t n = f->n_sources;
    int code = EXIT_SUCCESS, setting[BENCH_SETTINGS];

    for (int k = 0; k < BENCH_SETTINGS; k++) n *= o->list[k].n;
    for (size_t i = 0; i < 2 * n && code == EXIT_SUCCESS; i++) {
        size_t rest = i % n;
        for (int k = BENCH_SETTINGS; k-- > 0; rest /= o->list[k].n)
            setting[k] = o->list[k].value[rest % o->list[k].n];
        if (i < n) {
            code = bench_check(&f->source[rest], o, setting);
            continue;
        }
        code = bench_open(&m, &f->source[rest], o, setting);
        if (code == EXIT_SUCCESS)
            code = o->guesses ? bench_guesses(&m, &f->n_rows) : run_tests(f, &m);
    }
    bench_close(&m);
    if (f->n_rows) bench_print_end(o);
    return console_finish(code);
}

/* -------------------------------------------------------------- what goes together -------- */

/* An option that may have been given beside one that would not heed it. */
typedef struct beside {
    const char *name;
    bool        is_given;
} beside;

/* Refuse the first that is given: a measurement that is not made must not seem to have been. */
static int refuse(const command *self, const char *what, const beside *option, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (option[i].is_given) return args_wrong(self, "%s: expected no %s", what, option[i].name);
    return ARGS_READ;
}

/* The first of the names of a list that was given, where nothing heeds it. */
static beside list_of(const flags *f, int i)
{
    static char name[BENCH_LISTS][32];
    const char *names = lists[i].names;

    snprintf(name[i], sizeof name[i], "%.*s", (int)strcspn(names, ","), names);
    return (beside){ name[i], f->given[i].n > 0 };
}

static int check_guesses(const command *self, const flags *f)
{
    const bench_options *o = &f->o;
    const beside option[] = {
        list_of(f, BENCH_PROMPT), list_of(f, BENCH_SEQS), { "-pg", f->both.n > 0 },
        { "--ops", o->ops }, { "--wide", o->wide }, { "--fill real", o->real_fill },
        { "--delay", o->delay_s > 0 }, { "--progress", o->progress },
    };

    if (o->format == BENCH_SQL || o->format == BENCH_NONE || o->format_err != BENCH_NONE)
        return args_wrong(self, "--accept: expected -o md, csv, json or jsonl, and no -oe");
    if (o->list[BENCH_GEN].largest == 0)
        return args_wrong(self, "--accept: expected a length above 0 in -n");
    return refuse(self, "--accept measures decoding alone", option,
                  sizeof option / sizeof *option);
}

static int check_limits(const command *self, const flags *f)
{
    const bench_options *o = &f->o;
    const beside option[] = {
        { "--shape", f->shapes.n > 0 }, { "-m", f->dirs.n > 0 }, { "--adapter", o->adapter.n > 0 },
        { "--adapter-rank", o->adapter_rank > 0 },
        list_of(f, BENCH_PROMPT), list_of(f, BENCH_GEN), { "-pg", f->both.n > 0 },
        list_of(f, BENCH_DEPTH), list_of(f, BENCH_SEQS), list_of(f, BENCH_BATCH),
        list_of(f, BENCH_UBATCH), list_of(f, BENCH_TYPE), list_of(f, BENCH_KV),
        { "-ctv", f->cache_v.n > 0 }, { "--type-of", o->type_of.n > 0 }, list_of(f, BENCH_STATE),
        list_of(f, BENCH_LOAD), { "-mmp", f->mmap.n > 0 }, list_of(f, BENCH_ACCEPT),
        list_of(f, BENCH_GUESS), { "--adapt", o->adapt }, { "--no-warmup", o->no_warmup },
        { "--delay", o->delay_s > 0 }, { "--wide", o->wide }, { "--fill real", o->real_fill },
        { "--ops", o->ops }, { "--progress", o->progress }, { "-s", o->seed != USUAL_SEED },
        { "--cpu", o->cpu },
    };

    if (o->format == BENCH_SQL || o->format == BENCH_NONE || o->format_err != BENCH_NONE)
        return args_wrong(self, "--limits: expected -o md, csv, json or jsonl, and no -oe");
    return refuse(self, "--limits measures the machine alone", option,
                  sizeof option / sizeof *option);
}

static int check_table(const command *self, const flags *f)
{
    const bench_options *o = &f->o;

    if (o->ops && (o->format >= BENCH_CSV || o->format_err >= BENCH_CSV))
        return args_wrong(self, "--ops needs md, json or jsonl");
    if (o->adapt || f->given[BENCH_GUESS].n)
        return args_wrong(self, "--draft-max and --adapt need --accept");
    if (o->list[BENCH_PROMPT].largest + o->list[BENCH_GEN].largest + o->both[0].largest +
            o->both[1].largest == 0)
        return args_wrong(self, "expected a length above 0 in -p, -n or -pg");
    return ARGS_READ;
}

static int run(const command *self, flags *f)
{
    const bench_options *o = &f->o;

    f->o.guesses = f->given[BENCH_ACCEPT].n > 0;
    int code = f->limits ? check_limits(self, f) : o->guesses ? check_guesses(self, f)
                                                              : check_table(self, f);
    if (code != ARGS_READ) return code;
    console_catch_interrupt();
    if (f->limits) return bench_limits(o);
    code = type_rules_read(&f->o.rules, &f->o.type_of);
    if (code == EXIT_SUCCESS) code = find_sources(f);
    return code == EXIT_SUCCESS ? run_table(f) : code;
}

#define LIST_ROW(i) \
    ARG_LIST_ROW(lists[i].names, "LIST", &f.given[i], lists[i].help, .usual = lists[i].usual, \
                 .words = lists[i].words)
#define ONLY_ROW(names, choices, why, refusal) \
    ARG_ROW(names, "LIST", ARG_IGNORED, NULL, why, .more = refusal, .words = choices)

static const char *const formats[] = { "none", "md", "json", "jsonl", "csv", "sql", NULL };
static const char *const fills[] = { "synthetic", "real", NULL }, *const zero[] = { "0", NULL };
static const char *const switches[] = { "0", "1", "-1", "on", "off", "auto", NULL };

int cmd_bench(const command *self, int argc, char **argv)
{
    static flags f;
    const arg args[] = {
        ARG_LIST_ROW("--shape", "SHAPE,...", &f.shapes, "shapes of models/shapes or files "
                     "config.json, with random weights; may be repeated"),
        ARG_LIST_ROW("-m, --model", "DIR,...", &f.dirs, "model directories, or names ORG/NAME of "
                     "models in the Hugging Face cache; may be repeated"),
        ADAPTERS_ROW(&f.o.adapter),
        ARG_INT_ROW("--adapter-rank", "N", &f.o.adapter_rank, 0, 4096, "run with an adapter "
                    "of this rank, of random numbers, for all linear layers but the head",
                    .usual = "0, none"),
        LIST_ROW(BENCH_PROMPT), LIST_ROW(BENCH_GEN),
        ARG_LIST_ROW("-pg", "N,N", &f.both, "a prompt and tokens generated behind it, as one test"),
        LIST_ROW(BENCH_DEPTH), LIST_ROW(BENCH_SEQS), LIST_ROW(BENCH_BATCH), LIST_ROW(BENCH_UBATCH),
        LIST_ROW(BENCH_THREADS), LIST_ROW(BENCH_PIN), LIST_ROW(BENCH_TYPE), LIST_ROW(BENCH_KV),
        ARG_LIST_ROW("-ctv, --cache-type-v", "LIST", &f.cache_v, "the same; keys and values have "
                     "one type", .words = setup_kv_types),
        TYPE_RULES_ROW(&f.o.type_of),
        LIST_ROW(BENCH_STATE), LIST_ROW(BENCH_LOAD),
        ARG_LIST_ROW("-mmp, --mmap", "LIST", &f.mmap, "1 as -lm mmap, 0 as -lm none"),
        LIST_ROW(BENCH_ACCEPT), LIST_ROW(BENCH_GUESS),
        ARG_FLAG_ROW("--adapt", &f.o.adapt, "for --accept: as many guesses as pay, up to "
                     "--draft-max"),
        ARG_INT_ROW("-r, --repetitions", "N", &f.o.repetitions, 1, BENCH_REPETITIONS,
                    "samples of a test, after a warm-up", .usual = "5"),
        ARG_FLAG_ROW("--no-warmup", &f.o.no_warmup, "no run before the first sample"),
        ARG_INT_ROW("--delay", "SECONDS", &f.o.delay_s, 0, 86400, "pause before each test",
                    .usual = "0"),
        ARG_WORD_ROW("-o, --output", "FORMAT", &f.o.format, formats, "form of the table",
                     .usual = "md"),
        ARG_WORD_ROW("-oe, --output-err", "FORMAT", &f.o.format_err, formats,
                     "the same on standard error", .usual = "none"),
        ARG_FLAG_ROW("--wide", &f.o.wide, "all columns in the table"),
        ARG_WORD_ROW("--fill", "HOW", &f.o.real_fill, fills, "how depths are reached",
                     .usual = "synthetic", .more = "Synthetic depths are random values; for real "
                     "ones tokens are fed."),
        ARG_FLAG_ROW("--ops", &f.o.ops, "where the time goes, by kind of operation"),
        ARG_FLAG_ROW("--limits", &f.limits, "what the machine can do, no model; of the others "
                     "it heeds -t, --pin, --cpu-strict, -r and -o alone"),
        ARG_FLAG_ROW("--pin", &f.pin, "as --cpu-strict 1"),
        ARG_FLAG_ROW("--progress", &f.o.progress, "say how far it is"),
        ARG_NUMBER_ROW(ARG_INT64, "-s, --seed", "N", &f.o.seed, 0, 0x1p62,
                       "seed of weights and tokens", .usual = "1"),
        SETUP_CPU_ROW(&f.o.cpu),
        ARG_HEAD("Of llama-bench, without effect here"),
        ARG_IGNORED_ROW("-ngl, --n-gpu-layers, -ncmoe, --n-cpu-moe", "LIST",
                        "everything runs on the processor"),
        ARG_IGNORED_ROW("-nkvo, --no-kv-offload, -nopo, --no-op-offload, --no-host", "LIST",
                        "there is one device"),
        ARG_IGNORED_ROW("-sm, --split-mode, -mg, --main-gpu, -ts, --tensor-split", "LIST",
                        "there is one device"),
        ARG_IGNORED_ROW("-ot, --override-tensor, -fitt, --fit-target, -fitc, --fit-ctx", "LIST",
                        "there is one device"),
        ONLY_ROW("-fa, --flash-attn", switches, "attention is always computed so",
                 "expected on, off, auto, 1, 0 or -1"),
        ONLY_ROW("-dio, --direct-io", zero, "files are mapped or copied",
                 "files are mapped or copied, see -lm; expected 0"),
        ARG_IGNORED_ROW("--repack, -lzm, --lazy-mode", "LIST", "weights are laid out as is best"),
        ONLY_ROW("-embd, --embeddings", zero, "logits are computed",
                 "logits are computed, there are no embeddings; expected 0"),
        ARG_ROW("--list-devices", NULL, ARG_REFUSED, NULL, "there is one device, the processor"),
        ARG_ROW("-hff, --hf-file, -hft, --hf-token, -rpc, --rpc", "NAME", ARG_REFUSED, NULL,
                "nothing is downloaded, nothing runs elsewhere"),
        ARG_END
    };

    f = (flags){ .o = { .repetitions = 5, .format = BENCH_MD, .seed = USUAL_SEED } };
    int code = args_read(self, args, argc, argv);
    if (code == ARGS_READ) code = read_lists(self, &f);
    if (code == ARGS_READ) code = run(self, &f);
    for (int i = 0; i < BENCH_LISTS; i++) free(f.given[i].items);
    free(f.shapes.items);
    free(f.dirs.items);
    free(f.both.items);
    free(f.cache_v.items);
    free(f.mmap.items);
    free(f.source);
    free(f.o.type_of.items);
    free(f.o.adapter.items);
    type_rules_free(&f.o.rules);
    return code;
}

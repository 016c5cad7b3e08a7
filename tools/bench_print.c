/* bench_print.c - rows in the forms that llama-bench has, under its names; ours are added.
 *
 * A row is a JSON object; every form prints from its members.
 * Source of the names: llama.cpp, tools/llama-bench and scripts/compare-llama-bench.py. */
#include "bench.h"

#include "console.h"
#include "json.h"
#include "setup.h"

#include <json-c/json.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifndef BAMBA_COMMIT                      /* not built from a checkout */
#  define BAMBA_COMMIT bamba_version()
#endif
#define BUILD_NUMBER \
    (BAMBA_VERSION_MAJOR * 10000 + BAMBA_VERSION_MINOR * 100 + BAMBA_VERSION_PATCH)

void bench_cpu_name(char out[96])
{
    strcpy(out, "CPU");
    bench_scan("/proc/cpuinfo", "model name : %95[^\n]", out);
}

/* -------------------------------------------------------------- a row --------------------- */

static json_object *text(const char *s) { return json_object_new_string(s); }
static json_object *flag(bool b)        { return json_object_new_boolean(b); }
static json_object *real(double x)
{
    char s[400];

    snprintf(s, sizeof s, "%.6f", isfinite(x) ? x : 0.0);
    return json_object_new_double_s(isfinite(x) ? x : 0.0, s);
}
/* Exact below 2^53. */
static json_object *whole(double x)     { return json_object_new_int64((int64_t)x); }

static json_object *numbers_of(const double *values, size_t n, json_object *(*make)(double))
{
    json_object *array = json_object_new_array();

    for (size_t i = 0; array && i < n; i++) json_append(&array, make(values[i]));
    return array;
}

static double number(json_object *row, const char *field)
{
    return json_object_get_double(json_object_object_get(row, field));
}

static const char *string(json_object *row, const char *field)
{
    return json_object_get_string(json_object_object_get(row, field));
}

static double share(double part, double all)
{
    return all > 0.0 ? 100.0 * part / all : 0.0;
}

static void average(const double *values, size_t n, double *mean, double *deviation)
{
    double sum = 0.0, squares = 0.0;

    for (size_t i = 0; i < n; i++) sum += values[i];
    *mean = sum / (double)n;
    for (size_t i = 0; i < n && n > 1; i++)
        squares += (values[i] - *mean) * (values[i] - *mean) / (double)(n - 1);
    *deviation = sqrt(squares);
}

static double percentile(const double *sorted, size_t n, double p)
{
    return n ? sorted[(size_t)ceil(p * (double)n) - 1] : 0.0;
}

/* Adds the operations of the sample whose sum is the median, or next below it. */
static void add_ops(json *row, bench_run *r)
{
    json_object *ops = json_object_new_array();
    double *sorted = r->first_ns;         /* which is not needed any more */
    size_t chosen = 0;

    memcpy(sorted, r->ops_ns, r->n * sizeof *sorted);
    bench_median(sorted, r->n);
    while (r->ops_ns[chosen] != sorted[(r->n - 1) / 2]) chosen++;
    for (size_t i = 0; i < r->n_ops; i++) {
        const bamba_op *from = r->ops + chosen * BENCH_OPS + i;
        json op = JSON_OBJECT;
        json_add(&op, "name", text(from->name));
        json_add(&op, "ns", whole((double)from->ns));
        json_add(&op, "bytes", whole((double)from->bytes));
        json_add(&op, "flops", whole((double)from->flops));
        row->failed = row->failed || op.failed;
        if (ops && json_object_array_add(ops, op.object) == 0) continue;
        json_object_put(op.object);
        row->failed = true;
    }
    json_add(row, "ops", ops);
}

typedef struct field {
    const char  *name;
    json_object *value;
} field;

static void add_fields(json *row, const field *fields, size_t n)
{
    for (size_t i = 0; i < n; i++) json_add(row, fields[i].name, fields[i].value);
}

/* Adds what was asked for, in llama-bench's order, with its values for what is not known here. */
static void add_setting(json *row, const bench_run *r)
{
    const int *setting = r->m->setting;
    const bamba_model_info *info = &r->m->info;
    const char *kv_type = setup_kv_types[info->kv_type];
    char cpu[96];

    bench_cpu_name(cpu);
    const field fields[] = {
        { "build_commit", text(BAMBA_COMMIT) }, { "build_number", whole(BUILD_NUMBER) },
        { "cpu_info", text(cpu) }, { "gpu_info", text("") }, { "backends", text("CPU") },
        { "model_filename", text("") }, { "model_type", text("") },
        { "model_size", whole((double)(info->mapped_bytes + info->resident_bytes)) },
        { "model_n_params", whole((double)info->n_params) },
        { "n_batch", whole(setting[BENCH_BATCH]) }, { "n_ubatch", whole(setting[BENCH_UBATCH]) },
        { "n_threads", whole(bamba_engine_threads(r->m->engine)) }, { "cpu_mask", text("0x0") },
        { "cpu_strict", flag(setting[BENCH_PIN]) }, { "poll", whole(50) },
        { "type_k", text(kv_type) }, { "type_v", text(kv_type) },
        { "n_gpu_layers", whole(-1) }, { "n_cpu_moe", whole(0) },
        { "split_mode", text("layer") }, { "main_gpu", whole(0) },
        { "no_kv_offload", flag(false) }, { "flash_attn", whole(-1) }, { "devices", text("auto") },
        { "tensor_split", text("0.00") }, { "tensor_buft_overrides", text("none") },
        { "load_mode", text(bench_loads[setting[BENCH_LOAD]]) }, { "lazy_mode", text("auto") },
        { "embeddings", flag(false) }, { "no_op_offload", whole(0) }, { "no_host", flag(false) },
        { "repack", flag(true) }, { "fit_target", whole(0) }, { "fit_min_ctx", whole(0) },
        { "n_prompt", whole(r->test.n_prompt) }, { "n_gen", whole(r->test.n_gen) },
        { "n_depth", whole(r->test.n_depth) }, { "test_time", text(r->test_time) },
    };
    add_fields(row, fields, sizeof fields / sizeof *fields);
    /* Names of files may hold any bytes: these become valid UTF-8. */
    json_add_string(row, "model_filename", r->m->source->name);
    json_add_string(row, "model_type", r->model_type);
}

void bench_add_adapters(json *row, const bench_options *o)
{
    char *names = bench_name_adapters(o);

    row->failed = row->failed || !names;
    if (names) json_add_string(row, "adapters", names);
    free(names);
}

/* Adds what was found: llama-bench has averages and samples. Sorts r's numbers. */
static void add_results(json *row, bench_run *r)
{
    const bench_test *t = &r->test;
    const bamba_model_info *info = &r->m->info;
    const size_t end = (size_t)t->n_depth + (size_t)t->n_prompt + (size_t)t->n_gen;
    const double state = t->n_seqs * (double)bamba_model_state_bytes(r->m->model, 0);
    const double state_kv = t->n_seqs * (double)bamba_model_state_bytes(r->m->model, end);
    const char *how = t->n_depth == 0 ? "none" : r->m->options->real_fill ? "real" : "synthetic";
    const size_t n = r->n;
    size_t n_steps = 0;
    double avg_ns, stddev_ns, avg_ts, stddev_ts;
    char why[160];

    json_object *ns = numbers_of(r->sample_ns, n, whole), *ts = numbers_of(r->sample_ts, n, real);
    average(r->sample_ns, n, &avg_ns, &stddev_ns);
    average(r->sample_ts, n, &avg_ts, &stddev_ts);
    snprintf(why, sizeof why, "%s", r->noise);
    if (stddev_ns > 0.1 * avg_ns)
        snprintf(why, sizeof why, "spread of %.0f %%%s%s", share(stddev_ns, avg_ns),
                 r->noise[0] ? ": " : ", no reason found", r->noise);
    const double median = bench_median(r->sample_ns, n);
    const double gbs = r->bytes / median, gflops = r->flops / median;
    const double read = bench_median(r->read, n), peak = bench_median(r->peak, 2 * n);
    for (size_t i = 0; i < n * r->steps; i++)         /* drops the prompts, sorts the rest */
        if (!t->n_prompt || i % r->steps) r->step_ns[n_steps++] = r->step_ns[i];
    bench_median(r->step_ns, n_steps);
    const field fields[] = {
        { "avg_ns", whole(round(avg_ns)) }, { "stddev_ns", whole(round(stddev_ns)) },
        { "avg_ts", real(avg_ts) }, { "stddev_ts", real(stddev_ts) },
        { "n_batch_seqs", whole(t->n_seqs) }, { "isa", text(info->cpu) },
        { "weight_type", text(setup_type_name(info->weight_type)) },
        { "state_type", text(setup_type_name(info->state_type)) }, { "fill", text(how) },
        { "avg_gbs", real(gbs) }, { "stream_gbs", real(read) },
        { "pct_stream", real(share(gbs, read)) }, { "avg_gflops", real(gflops) },
        { "peak_gflops", real(peak) }, { "pct_peak", real(share(gflops, peak)) },
        { "ttft_ns", whole(bench_median(r->first_ns, n)) },
        { "itl_p50_ns", whole(percentile(r->step_ns, n_steps, 0.50)) },
        { "itl_p95_ns", whole(percentile(r->step_ns, n_steps, 0.95)) },
        { "itl_p99_ns", whole(percentile(r->step_ns, n_steps, 0.99)) },
        { "state_bytes", whole(state) }, { "kv_bytes", whole(state_kv - state) },
        { "rss_bytes", whole(r->rss_bytes) }, { "moved_bytes", whole(r->bytes) },
        { "flops", whole(r->flops) }, { "noise", text(why) },
        { "samples_ns", ns }, { "samples_ts", ts },
    };
    add_fields(row, fields, sizeof fields / sizeof *fields);
    bench_add_adapters(row, r->m->options);
    if (r->n_ops) add_ops(row, r);
}

/* -------------------------------------------------------------- JSON, CSV, SQL ------------ */

typedef enum part { NAMES, NAMES_AND_TYPES, CSV_VALUES, SQL_VALUES } part;

/* Writes text between two quotes of a kind, which are doubled inside. */
static void put_quoted(FILE *to, const char *value, char quote)
{
    putc(quote, to);
    for (; *value; value++) {
        if (*value == quote) putc(quote, to);
        putc(*value, to);
    }
    putc(quote, to);
}

/* Prints one part of all fields, with texts before, between and behind them. */
static void put_fields(FILE *to, const char *before, json_object *row, part what,
                       const char *between, const char *behind)
{
    static const char *const types[] = {
        [json_type_string] = " TEXT", [json_type_double] = " REAL",
        [json_type_int] = " INTEGER", [json_type_boolean] = " INTEGER",
    };

    json_object_object_foreach(row, name, value) {
        const json_type type = json_object_get_type(value);
        char digits[JSON_NUMBER];
        const char *printed = json_scalar(value, digits);
        if (type == json_type_array) continue;
        if (type == json_type_boolean) printed = json_object_get_boolean(value) ? "1" : "0";
        fputs(before, to);
        before = between;
        if (what == CSV_VALUES || what == SQL_VALUES)
            put_quoted(to, printed, what == CSV_VALUES ? '"' : '\'');
        else fprintf(to, "%s%s", name, what == NAMES ? "" : types[type]);
    }
    fputs(behind, to);
}

static void put_object(FILE *to, int format, json_object *row, bool first)
{
    const bool lines = format == BENCH_JSONL;

    if (format == BENCH_JSON || lines) {
        fputs(lines ? "" : first ? "[\n" : ",\n", to);
        json_write(to, row, !lines);
        fputs(lines ? "\n" : "", to);
    } else if (format == BENCH_CSV) {
        if (first) put_fields(to, "", row, NAMES, ",", "\n");
        put_fields(to, "", row, CSV_VALUES, ",", "\n");
    } else if (format == BENCH_SQL) {
        if (first)
            put_fields(to, "CREATE TABLE IF NOT EXISTS llama_bench (\n  ", row, NAMES_AND_TYPES,
                       ",\n  ", "\n);\n\n");
        put_fields(to, "INSERT INTO llama_bench (", row, NAMES, ", ", ") VALUES (");
        put_fields(to, "", row, SQL_VALUES, ", ", ");\n");
    }
}

int bench_print_object(const bench_options *o, json *row, bool first)
{
    if (!row->failed) put_object(stdout, o->format, row->object, first);
    return json_finish(row);
}

/* -------------------------------------------------------------- Markdown ------------------ */

typedef struct column {
    const char *title, *field;
    int         width;                    /* below 0: to the left                              */
    enum { TEXT, BYTES, COUNT, TEST, SPEED, NUMBER } kind;    /* NUMBER: "-" for 0             */
    double      unit;                     /* of a NUMBER                                       */
    enum { ALWAYS, WIDE, CHANGED, ADAPTED } when;     /* CHANGED: as llama-bench, unless a list is
                                             its usual value alone; ADAPTED: with adapters; both
                                             also with --wide                                  */
    int         list, usual;
} column;

static const column columns[] = {
    { "model", "model_type", -30, TEXT, 0, ALWAYS, 0, 0 },
    { "size", "model_size", 10, BYTES, 0, ALWAYS, 0, 0 },
    { "params", "model_n_params", 10, COUNT, 0, ALWAYS, 0, 0 },
    { "backend", "backends", -10, TEXT, 0, ALWAYS, 0, 0 },
    { "threads", "n_threads", 7, TEXT, 0, ALWAYS, 0, 0 },
    { "cpu_strict", "cpu_strict", 10, TEXT, 0, CHANGED, BENCH_PIN, 0 },
    { "n_batch", "n_batch", 7, TEXT, 0, CHANGED, BENCH_BATCH, BENCH_USUAL_BATCH },
    { "n_ubatch", "n_ubatch", 8, TEXT, 0, CHANGED, BENCH_UBATCH, BENCH_USUAL_UBATCH },
    { "type_k", "type_k", 6, TEXT, 0, CHANGED, BENCH_KV, BAMBA_TYPE_F16 },
    { "type_v", "type_v", 6, TEXT, 0, CHANGED, BENCH_KV, BAMBA_TYPE_F16 },
    { "states", "state_type", 6, TEXT, 0, CHANGED, BENCH_STATE, BAMBA_TYPE_F32 },
    { "lm", "load_mode", 10, TEXT, 0, CHANGED, BENCH_LOAD, 0 },
    { "adapters", "adapters", -12, TEXT, 0, ADAPTED, 0, 0 },
    { "test", "", 15, TEST, 0, ALWAYS, 0, 0 },
    { "t/s", "", 21, SPEED, 0, ALWAYS, 0, 0 },
    { "% read", "pct_stream", 6, NUMBER, 1, ALWAYS, 0, 0 },
    { "% peak", "pct_peak", 6, NUMBER, 1, ALWAYS, 0, 0 },
    { "isa", "isa", -10, TEXT, 0, WIDE, 0, 0 },
    { "GB/s", "avg_gbs", 7, NUMBER, 1, WIDE, 0, 0 },
    { "GFLOP/s", "avg_gflops", 8, NUMBER, 1, WIDE, 0, 0 },
    { "first ms", "ttft_ns", 9, NUMBER, 1e6, WIDE, 0, 0 },
    { "p50 ms", "itl_p50_ns", 8, NUMBER, 1e6, WIDE, 0, 0 },
    { "p95 ms", "itl_p95_ns", 8, NUMBER, 1e6, WIDE, 0, 0 },
    { "p99 ms", "itl_p99_ns", 8, NUMBER, 1e6, WIDE, 0, 0 },
    { "state", "state_bytes", 10, BYTES, 0, WIDE, 0, 0 },
    { "kv", "kv_bytes", 10, BYTES, 0, WIDE, 0, 0 },
    { "RSS", "rss_bytes", 10, BYTES, 0, WIDE, 0, 0 },
};

static bool is_shown(const column *c, const bench_options *o)
{
    const bench_list *l = &o->list[c->list];

    return c->when == ALWAYS || o->wide ||
           (c->when == ADAPTED && bench_has_adapters(o)) ||
           (c->when == CHANGED && (l->n > 1 || l->value[0] != c->usual));
}

const char *bench_bytes(double bytes, char *out, size_t size)
{
    const bool gib = bytes >= 0x1p30;
    snprintf(out, size, "%.2f %s", bytes / (gib ? 0x1p30 : 0x1p20), gib ? "GiB" : "MiB");
    return out;
}

static const char *cell(const column *c, json_object *row, const bench_run *r, char out[128])
{
    const double value = number(row, c->field);

    switch (c->kind) {
    case BYTES: return bench_bytes(value, out, 128);
    case TEST: return r->test_name;
    case COUNT:
        snprintf(out, 128, "%.2f %c", value / (value >= 1e9 ? 1e9 : 1e6), value >= 1e9 ? 'B' : 'M');
        return out;
    case SPEED:
        snprintf(out, 128, "%.2f ± %.2f", number(row, "avg_ts"), number(row, "stddev_ts"));
        return out;
    case NUMBER:
        snprintf(out, 128, "%.*f", c->unit == 1.0 ? 1 : 2, value / c->unit);
        return value == 0.0 ? "-" : out;
    case TEXT: break;
    }
    return json_object_is_type(json_object_object_get(row, c->field), json_type_boolean)
               ? value != 0.0 ? "1" : "0"
               : json_scalar(json_object_object_get(row, c->field), out);
}

/* Prints a row of the table, or its head if r is NULL. */
static void put_md(FILE *to, const bench_options *o, json_object *row, const bench_run *r)
{
    char out[128], line[1024] = "";

    for (const column *c = columns; c < columns + sizeof columns / sizeof *columns; c++) {
        const int width = abs(c->width) - (!r && c->kind == SPEED);   /* the sign has two bytes */
        if (!is_shown(c, o)) continue;
        fprintf(to, "| %*s ", c->width < 0 ? -width : width, r ? cell(c, row, r, out) : c->title);
        memset(out, '-', (size_t)width);
        snprintf(line + strlen(line), sizeof line - strlen(line), "| %.*s%c ", width - 1, out,
                 c->width < 0 ? '-' : ':');
    }
    fprintf(to, "|\n%s%s", r ? "" : line, r ? "" : "|\n");
}

static void put_ops(FILE *to, json_object *row, const bench_run *r)
{
    json_object *ops = json_object_object_get(row, "ops");
    const double off = bench_median(r->sample_ns, r->n);
    const double stream = number(row, "stream_gbs"), peak = number(row, "peak_gflops");
    double all = 0.0;

    for (size_t i = 0; i < r->n_ops; i++)
        all += number(json_object_array_get_idx(ops, i), "ns");
    fprintf(to, "\n%s %s\n\n", r->model_type, r->test_name);
    fprintf(to, "| operation  |       ms | share %% |      MB |   MFLOP |  GB/s | GFLOP/s | %% "
           "roofline |\n| ---------- | -------: | ------: | ------: | ------: | ----: | "
           "------: | ---------: |\n");
    for (size_t i = 0; i < r->n_ops; i++) {
        json_object *op = json_object_array_get_idx(ops, i);
        const double ns = number(op, "ns"), bytes = number(op, "bytes");
        const double flops = number(op, "flops");
        if (ns == 0.0) continue;
        fprintf(to, "| %-10s | %8.3f | %7.1f | %7.1f | %7.1f | %5.1f | %7.1f | %10.1f |\n",
               string(op, "name"), ns * 1e-6, share(ns, all), bytes * 1e-6, flops * 1e-6,
               bytes / ns, flops / ns,
               fmax(share(bytes / ns, stream), share(flops / ns, peak)));
    }
    fprintf(to, "\nsum %.3f ms; with the timers off %.3f ms (%+.1f %%)\n\n", all * 1e-6, off * 1e-6,
           share(all - off, off));
}

/* -------------------------------------------------------------- all ----------------------- */

int bench_print_row(bench_run *r, bool first)
{
    const bench_options *o = r->m->options;
    json all = JSON_OBJECT;

    add_setting(&all, r);
    add_results(&all, r);
    json_object *row = all.object;
    console_progress_clear();
    for (int i = 0; i < 2 && !all.failed; i++) {
        FILE *to = i ? stderr : stdout;
        const int format = i ? o->format_err : o->format;
        if (format != BENCH_MD) {
            put_object(to, format, row, first);
            continue;
        }
        if (first || o->ops) put_md(to, o, NULL, NULL);
        put_md(to, o, row, r);
        if (o->ops) put_ops(to, row, r);
    }
    fflush(stdout);
    if (!all.failed && *string(row, "noise"))
        console_say("%s %s: %s", r->model_type, r->test_name, string(row, "noise"));
    return json_finish(&all);
}

void bench_print_end(const bench_options *o)
{
    for (int i = 0; i < 2; i++) {
        FILE *to = i ? stderr : stdout;
        const int format = i ? o->format_err : o->format;
        if (format == BENCH_JSON) fputs("\n]\n", to);
        if (format != BENCH_MD) continue;
        if (o->list[BENCH_DEPTH].largest > 0 && !o->real_fill)
            fputs("\ndepths hold random values (--fill real feeds tokens)\n", to);
        fprintf(to, "\nbuild: %s (%d)\n", BAMBA_COMMIT, BUILD_NUMBER);
    }
}

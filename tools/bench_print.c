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

/* Writes "AMD EPYC, family 25 model 17". */
static const char *cpu_info(char *out, size_t size)
{
    static const char path[] = "/proc/cpuinfo";
    char name[96] = "unknown";
    int family, model = -1;

    noise_scan(path, "model name : %95[^\n]", name);
    noise_scan(path, "model : %d", &model);
    if (noise_scan(path, "cpu family : %d", &family) == 1)
        snprintf(out, size, "%s, family %d model %d", name, family, model);
    else snprintf(out, size, "%s", name);
    return out;
}

/* -------------------------------------------------------------- a row --------------------- */

static json_object *text(const char *value)
{
    return json_object_new_string(value);
}

static json_object *whole(double value)   /* exact below 2^53 */
{
    return json_object_new_int64((int64_t)value);
}

static json_object *real(double value)
{
    return json_object_new_double(isfinite(value) ? value : 0.0);
}

static json_object *flag(bool value)
{
    return json_object_new_boolean(value);
}

static json_object *numbers_of(const double *values, size_t n, json_object *(*make)(double))
{
    json_object *array = json_object_new_array();

    for (size_t i = 0; i < n; i++) json_object_array_add(array, make(values[i]));
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
static void add_ops(json_object *row, bench_run *r)
{
    json_object *ops = json_object_new_array();
    double *sorted = r->first_ns;         /* which is not needed any more */
    size_t chosen = 0;

    memcpy(sorted, r->ops_ns, r->n * sizeof *sorted);
    bench_median(sorted, r->n);
    while (r->ops_ns[chosen] != sorted[(r->n - 1) / 2]) chosen++;
    for (size_t i = 0; i < r->n_ops; i++) {
        const bamba_op *from = r->ops + chosen * BENCH_OPS + i;
        json_object *op = json_object_new_object();
        json_object_object_add(op, "name", text(from->name));
        json_object_object_add(op, "ns", whole((double)from->ns));
        json_object_object_add(op, "bytes", whole((double)from->bytes));
        json_object_object_add(op, "flops", whole((double)from->flops));
        json_object_array_add(ops, op);
    }
    json_object_object_add(row, "ops", ops);
}

typedef struct field {
    const char  *name;
    json_object *value;
} field;

static void add_fields(json_object *row, const field *fields, size_t n)
{
    for (size_t i = 0; i < n; i++) json_object_object_add(row, fields[i].name, fields[i].value);
}

/* Adds what was asked for, in llama-bench's order. */
static void add_setting(json_object *row, const bench_run *r)
{
    const bench_options *o = r->m->options;
    const bamba_model_info *info = &r->m->info;
    const char *kv_type = setup_kv_types[info->kv_type];
    const bool in_place = !r->m->source->is_shape && !o->copy;
    char cpu[160];
    const field fields[] = {
        { "build_commit", text(BAMBA_COMMIT) },
        { "build_number", whole(BAMBA_VERSION_MAJOR * 10000 + BAMBA_VERSION_MINOR * 100 +
                                BAMBA_VERSION_PATCH) },
        { "cpu_info", text(cpu_info(cpu, sizeof cpu)) }, { "gpu_info", text("") },
        { "backends", text("CPU") }, { "model_filename", text(r->m->source->name) },
        { "model_type", text(r->model_type) },
        { "model_size", whole((double)(info->mapped_bytes + info->resident_bytes)) },
        { "model_n_params", whole((double)info->n_params) },
        { "n_batch", whole(o->n_batch) }, { "n_ubatch", whole(o->n_batch) },
        { "n_threads", whole(bamba_engine_threads(r->m->engine)) }, { "cpu_mask", text("0x0") },
        { "cpu_strict", flag(o->pin) }, { "poll", whole(50) },
        { "type_k", text(kv_type) }, { "type_v", text(kv_type) },
        { "n_gpu_layers", whole(0) }, { "n_cpu_moe", whole(0) },
        { "split_mode", text("layer") }, { "main_gpu", whole(0) },
        { "no_kv_offload", flag(false) }, { "flash_attn", flag(false) },
        { "tensor_split", text("0.00") }, { "tensor_buft_overrides", text("none") },
        { "use_mmap", flag(in_place) },   /* llama-bench of 2025; load_mode is its successor */
        { "load_mode", text(in_place ? "mmap" : "none") }, { "embeddings", flag(false) },
        { "no_op_offload", whole(0) }, { "fit_target", whole(0) }, { "fit_min_ctx", whole(0) },
        { "n_prompt", whole(r->test.n_prompt) }, { "n_gen", whole(r->test.n_gen) },
        { "n_depth", whole(r->test.n_depth) }, { "test_time", text(r->test_time) },
    };
    add_fields(row, fields, sizeof fields / sizeof *fields);
    /* Names of files may hold any bytes: these two again, in their places, as valid UTF-8. */
    json_add_string(&(json){ row, false }, "model_filename", r->m->source->name);
    json_add_string(&(json){ row, false }, "model_type", r->model_type);
}

/* Adds what was found: llama-bench has averages and samples. Sorts r's numbers. */
static void add_results(json_object *row, bench_run *r)
{
    const bench_test *t = &r->test;
    const bamba_model_info *info = &r->m->info;
    const size_t end = (size_t)t->n_depth + (size_t)t->n_prompt + (size_t)t->n_gen;
    const double state = t->n_seqs * (double)bamba_model_state_bytes(r->m->model, 0);
    const double state_kv = t->n_seqs * (double)bamba_model_state_bytes(r->m->model, end);
    const char *how = t->n_depth == 0 ? "none" : r->m->options->real_fill ? "real" : "synthetic";
    const size_t n = r->n, n_steps = t->n_gen ? n * r->steps : 0;
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
    const double gbs = r->cost.bytes / median, gflops = r->cost.flops / median;
    const double read = bench_median(r->read, n), peak = bench_median(r->peak, 2 * n);
    bench_median(r->step_ns, n_steps);    /* sorts, for the percentiles */
    const field fields[] = {
        { "avg_ns", whole(round(avg_ns)) }, { "stddev_ns", whole(round(stddev_ns)) },
        { "avg_ts", real(avg_ts) }, { "stddev_ts", real(stddev_ts) },
        { "n_batch_seqs", whole(t->n_seqs) }, { "isa", text(info->cpu) },
        { "weight_type", text(setup_weight_types[info->weight_type]) }, { "fill", text(how) },
        { "avg_gbs", real(gbs) }, { "stream_gbs", real(read) },
        { "pct_stream", real(share(gbs, read)) }, { "mapped_gbs", real(r->m->mapped_gbs) },
        { "avg_gflops", real(gflops) }, { "peak_gflops", real(peak) },
        { "pct_peak", real(share(gflops, peak)) },
        { "ttft_ns", whole(bench_median(r->first_ns, n)) },
        { "itl_p50_ns", whole(percentile(r->step_ns, n_steps, 0.50)) },
        { "itl_p95_ns", whole(percentile(r->step_ns, n_steps, 0.95)) },
        { "itl_p99_ns", whole(percentile(r->step_ns, n_steps, 0.99)) },
        { "state_bytes", whole(state) }, { "kv_bytes", whole(state_kv - state) },
        { "rss_bytes", whole(r->rss_bytes) }, { "moved_bytes", whole(r->cost.bytes) },
        { "flops", whole(r->cost.flops) }, { "noise", text(why) },
        { "samples_ns", ns }, { "samples_ts", ts },
    };
    add_fields(row, fields, sizeof fields / sizeof *fields);
    if (r->n_ops) add_ops(row, r);
}

/* -------------------------------------------------------------- JSON, CSV, SQL ------------ */

/* Prints a value with llama-bench's spaces, which are not json-c's: `first` in front of the first
   member of an object, `between` in front of the others. */
static void print_json(json_object *value, const char *first, const char *between)
{
    if (json_object_is_type(value, json_type_object)) {
        putchar('{');
        json_object_object_foreach(value, name, member) {
            printf("%s\"%s\": ", first, name);
            print_json(member, "", ", ");
            first = between;
        }
        putchar('}');
    } else if (json_object_is_type(value, json_type_array)) {
        putchar('[');
        for (size_t i = 0; i < json_object_array_length(value); i++) {
            if (i) fputs(", ", stdout);
            print_json(json_object_array_get_idx(value, i), "", ", ");
        }
        putchar(']');
    } else {
        fputs(json_object_to_json_string_ext(value, JSON_C_TO_STRING_NOSLASHESCAPE), stdout);
    }
}

void bench_put_quoted(FILE *to, const char *value, char quote)
{
    putc(quote, to);
    for (; *value; value++) {
        if (*value == quote) putc(quote, to);
        putc(*value, to);
    }
    putc(quote, to);
}

typedef enum part { NAMES, NAMES_AND_TYPES, CSV_VALUES, SQL_VALUES } part;

/* Prints one part of all fields, with texts before, between and behind them. */
static void print_fields(const char *before, json_object *row, part what, const char *between,
                         const char *behind)
{
    static const char *const types[] = {
        [json_type_string] = " TEXT", [json_type_double] = " REAL",
        [json_type_int] = " INTEGER", [json_type_boolean] = " INTEGER",
    };

    json_object_object_foreach(row, name, value) {
        const json_type type = json_object_get_type(value);
        const char *printed = json_object_get_string(value);
        if (type == json_type_array) continue;
        if (type == json_type_boolean) printed = json_object_get_boolean(value) ? "1" : "0";
        fputs(before, stdout);
        before = between;
        if (what == CSV_VALUES || what == SQL_VALUES)
            bench_put_quoted(stdout, printed, what == CSV_VALUES ? '"' : '\'');
        else printf("%s%s", name, what == NAMES ? "" : types[type]);
    }
    fputs(behind, stdout);
}

static void print_csv(json_object *row, bool first)
{
    if (first) print_fields("", row, NAMES, ",", "\n");
    print_fields("", row, CSV_VALUES, ",", "\n");
}

static void print_sql(json_object *row, bool first)
{
    if (first)
        print_fields("CREATE TABLE IF NOT EXISTS llama_bench (\n  ", row, NAMES_AND_TYPES, ",\n  ",
                     "\n);\n\n");
    print_fields("INSERT INTO llama_bench (", row, NAMES, ", ", ") VALUES (");
    print_fields("", row, SQL_VALUES, ", ", ");\n");
}

/* -------------------------------------------------------------- Markdown ------------------ */

static const char head[] =
    "| model                    |       size |    params | backend    | threads | kv   |"
    "            test |                t/s |    GB/s | % read |  GFLOP/s | % peak |"
    "  first ms |   p50 ms |   p95 ms |   p99 ms |   state+kv |        RSS |\n"
    "| ------------------------ | ---------: | --------: | ---------- | ------: | ---- |"
    " --------------: | -----------------: | ------: | -----: | -------: | -----: |"
    " --------: | -------: | -------: | -------: | ---------: | ---------: |\n";

/* Columns in the middle of the table; "-" if there is nothing. */
static const struct { const char *field; double unit; int width, digits; } numbers[] = {
    { "avg_gbs", 1, 7, 1 }, { "pct_stream", 1, 6, 1 }, { "avg_gflops", 1, 8, 1 },
    { "pct_peak", 1, 6, 1 }, { "ttft_ns", 1e6, 9, 1 }, { "itl_p50_ns", 1e6, 8, 2 },
    { "itl_p95_ns", 1e6, 8, 2 }, { "itl_p99_ns", 1e6, 8, 2 },
};

const char *bench_bytes(double bytes, char *out, size_t size)
{
    const bool gib = bytes >= 0x1p30;
    snprintf(out, size, "%.2f %s", bytes / (gib ? 0x1p30 : 0x1p20), gib ? "GiB" : "MiB");
    return out;
}

static void print_md(json_object *row, const bench_run *r)
{
    const bool synthetic = strcmp(string(row, "fill"), "synthetic") == 0;
    const double params = number(row, "model_n_params");
    const double state = number(row, "state_bytes") + number(row, "kv_bytes");
    char bytes[32], test[72], speed[64];

    snprintf(test, sizeof test, "%s%s", r->test_name, synthetic ? "*" : "");
    snprintf(speed, sizeof speed, "%.2f ± %.2f", number(row, "avg_ts"),
             number(row, "stddev_ts"));
    printf("| %-24s | %10s | %7.2f %c | %-10s | %7s | %-4s | %15s | %19s ", r->model_type,
           bench_bytes(number(row, "model_size"), bytes, sizeof bytes),
           params / (params >= 1e9 ? 1e9 : 1e6), params >= 1e9 ? 'B' : 'M', string(row, "isa"),
           string(row, "n_threads"), string(row, "type_k"), test, speed);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const double value = number(row, numbers[i].field) / numbers[i].unit;
        if (value > 0.0) printf("| %*.*f ", numbers[i].width, numbers[i].digits, value);
        else printf("| %*s ", numbers[i].width, "-");
    }
    printf("| %10s ", bench_bytes(state, bytes, sizeof bytes));
    printf("| %10s |\n", bench_bytes(number(row, "rss_bytes"), bytes, sizeof bytes));
}

static void print_ops(json_object *row, const bench_run *r)
{
    json_object *ops = json_object_object_get(row, "ops");
    const double off = bench_median(r->sample_ns, r->n);
    const double stream = number(row, "stream_gbs"), peak = number(row, "peak_gflops");
    double all = 0.0;

    for (size_t i = 0; i < r->n_ops; i++)
        all += number(json_object_array_get_idx(ops, i), "ns");
    printf("\n%s %s\n\n", r->model_type, r->test_name);
    printf("| operation  |       ms | share %% |      MB |   MFLOP |  GB/s | GFLOP/s | %% "
           "roofline |\n| ---------- | -------: | ------: | ------: | ------: | ----: | "
           "------: | ---------: |\n");
    for (size_t i = 0; i < r->n_ops; i++) {
        json_object *op = json_object_array_get_idx(ops, i);
        const double ns = number(op, "ns"), bytes = number(op, "bytes");
        const double flops = number(op, "flops");
        if (ns == 0.0) continue;
        printf("| %-10s | %8.3f | %7.1f | %7.1f | %7.1f | %5.1f | %7.1f | %10.1f |\n",
               string(op, "name"), ns * 1e-6, share(ns, all), bytes * 1e-6, flops * 1e-6,
               bytes / ns, flops / ns,
               fmax(share(bytes / ns, stream), share(flops / ns, peak)));
    }
    printf("\nsum %.3f ms; with the timers off %.3f ms (%+.1f %%)\n\n", all * 1e-6, off * 1e-6,
           share(all - off, off));
}

/* -------------------------------------------------------------- all ----------------------- */

void bench_print_row(bench_run *r, bool first)
{
    const bench_options *o = r->m->options;
    json_object *row = json_object_new_object();

    add_setting(row, r);
    add_results(row, r);
    json_c_set_serialization_double_format("%.6f", JSON_C_OPTION_GLOBAL);
    console_progress_clear();
    switch ((bench_format)o->format) {
    case BENCH_MD:
        if (first || o->ops) fputs(head, stdout);
        print_md(row, r);
        if (o->ops) print_ops(row, r);
        break;
    case BENCH_JSON:
        fputs(first ? "[\n  " : ",\n  ", stdout);
        print_json(row, "\n    ", ",\n    ");
        break;
    case BENCH_JSONL:
        print_json(row, " ", ", ");
        putchar('\n');
        break;
    case BENCH_CSV: print_csv(row, first); break;
    case BENCH_SQL: print_sql(row, first); break;
    }
    fflush(stdout);
    if (*string(row, "noise"))
        console_say("%s %s: %s", r->model_type, r->test_name, string(row, "noise"));
    json_object_put(row);
}

void bench_print_end(const bench_options *o)
{
    if (o->format == BENCH_JSON) fputs("\n]\n", stdout);
    if (o->format == BENCH_MD && o->depths.largest > 0 && !o->real_fill)
        printf("\n* the depth was filled with random values (--fill real feeds tokens)\n");
}

/* bench_print.c - rows in the forms that llama-bench has, under its names; ours are added.
 *
 * Source of the names: llama.cpp, tools/llama-bench and scripts/compare-llama-bench.py. */
#include "bench.h"

#include "json.h"
#include "setup.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef enum field_kind { TEXT, WHOLE, REAL, FLAG } field_kind;

typedef struct field {
    const char *name;
    field_kind  kind;
    const char *text;
    double      number;                   /* whole ones are exact below 2^53 */
} field;

#ifndef BAMBA_COMMIT                      /* not built from a checkout */
#  define BAMBA_COMMIT bamba_version()
#endif

enum { MOST_FIELDS = 80 };

typedef struct fields {
    field  item[MOST_FIELDS];
    size_t n;
} fields;

static void put_text(fields *f, const char *name, const char *text)
{
    f->item[f->n++] = (field){ name, TEXT, text, 0.0 };
}

static void put(fields *f, const char *name, field_kind kind, double number)
{
    f->item[f->n++] = (field){ name, kind, NULL, number };
}

static void put_whole(fields *f, const char *name, double number)
{
    put(f, name, WHOLE, number);
}

/* "AMD EPYC, family 25 model 17" */
static const char *cpu_info(void)
{
    static char text[160];
    char line[256], name[96] = "unknown";
    int family = -1, model = -1;
    FILE *f = text[0] ? NULL : fopen("/proc/cpuinfo", "r");

    while (f && fgets(line, sizeof line, f) && line[0] != '\n') {
        sscanf(line, "model name : %95[^\n]", name);
        sscanf(line, "cpu family : %d", &family);
        sscanf(line, "model : %d", &model);
    }
    if (f) fclose(f);
    if (!text[0] && family >= 0)
        snprintf(text, sizeof text, "%s, family %d model %d", name, family, model);
    else if (!text[0]) snprintf(text, sizeof text, "%s", name);
    return text;
}

static int build_number(void)
{
    return BAMBA_VERSION_MAJOR * 10000 + BAMBA_VERSION_MINOR * 100 + BAMBA_VERSION_PATCH;
}

static void put_llama_fields(fields *f, const bench_options *o, const bench_row *r)
{
    const bench_model *m = r->model;
    const bool in_place = !m->source->is_shape && !o->copy;

    put_text(f, "build_commit", BAMBA_COMMIT);
    put_whole(f, "build_number", build_number());
    put_text(f, "cpu_info", cpu_info());
    put_text(f, "gpu_info", "");
    put_text(f, "backends", "CPU");
    put_text(f, "model_filename", m->source->name);
    put_text(f, "model_type", r->model_type);
    put_whole(f, "model_size", (double)(m->info.mapped_bytes + m->info.resident_bytes));
    put_whole(f, "model_n_params", (double)m->info.n_params);
    put_whole(f, "n_batch", r->n_batch);
    put_whole(f, "n_ubatch", r->n_batch);
    put_whole(f, "n_threads", r->n_threads);
    put_text(f, "cpu_mask", "0x0");
    put(f, "cpu_strict", FLAG, o->pin);
    put_whole(f, "poll", 50);
    put_text(f, "type_k", setup_kv_types[m->info.kv_type]);
    put_text(f, "type_v", setup_kv_types[m->info.kv_type]);
    put_whole(f, "n_gpu_layers", 0);
    put_whole(f, "n_cpu_moe", 0);
    put_text(f, "split_mode", "layer");
    put_whole(f, "main_gpu", 0);
    put(f, "no_kv_offload", FLAG, 0);
    put(f, "flash_attn", FLAG, 0);
    put_text(f, "tensor_split", "0.00");
    put_text(f, "tensor_buft_overrides", "none");
    put(f, "use_mmap", FLAG, in_place);   /* what scripts of 2025 ask for; load_mode since */
    put_text(f, "load_mode", in_place ? "mmap" : "none");
    put(f, "embeddings", FLAG, 0);
    put_whole(f, "no_op_offload", 0);
    put_whole(f, "fit_target", 0);
    put_whole(f, "fit_min_ctx", 0);
    put_whole(f, "n_prompt", r->test.n_prompt);
    put_whole(f, "n_gen", r->test.n_gen);
    put_whole(f, "n_depth", r->test.n_depth);
    put_text(f, "test_time", r->test_time);
    put_whole(f, "avg_ns", floor(r->avg_ns + 0.5));
    put_whole(f, "stddev_ns", floor(r->stddev_ns + 0.5));
    put(f, "avg_ts", REAL, r->avg_ts);
    put(f, "stddev_ts", REAL, r->stddev_ts);
}

static void put_our_fields(fields *f, const bench_options *o, const bench_row *r)
{
    const bench_model *m = r->model;

    put_whole(f, "n_batch_seqs", r->test.n_seqs);
    put_text(f, "isa", m->info.cpu);
    put_text(f, "weight_type", setup_weight_types[m->info.weight_type]);
    put_text(f, "fill", r->test.n_depth == 0 ? "none" : o->real_fill ? "real" : "synthetic");
    put(f, "avg_gbs", REAL, r->avg_gbs);
    put(f, "stream_gbs", REAL, r->stream_gbs);
    put(f, "pct_stream", REAL, r->pct_stream);
    put(f, "mapped_gbs", REAL, r->mapped_gbs);
    put(f, "avg_gflops", REAL, r->avg_gflops);
    put(f, "peak_gflops", REAL, r->peak_gflops);
    put(f, "pct_peak", REAL, r->pct_peak);
    put_whole(f, "ttft_ns", (double)r->ttft_ns);
    put_whole(f, "itl_p50_ns", (double)r->p50_ns);
    put_whole(f, "itl_p95_ns", (double)r->p95_ns);
    put_whole(f, "itl_p99_ns", (double)r->p99_ns);
    put_whole(f, "state_bytes", (double)r->state_bytes);
    put_whole(f, "kv_bytes", (double)r->kv_bytes);
    put_whole(f, "rss_bytes", (double)r->rss_bytes);
    put_whole(f, "moved_bytes", (double)r->bytes);
    put_whole(f, "flops", (double)r->flops);
    put_text(f, "noise", r->noise);
}

static void collect(fields *f, const bench_options *o, const bench_row *r)
{
    f->n = 0;
    put_llama_fields(f, o, r);
    put_our_fields(f, o, r);
}

/* -------------------------------------------------------------- JSON ---------------------- */

static void print_json_value(const field *f)
{
    if (f->kind == TEXT) json_write_string(stdout, f->text);
    else if (f->kind == FLAG) fputs(f->number != 0.0 ? "true" : "false", stdout);
    else if (f->kind == WHOLE) printf("%.0f", f->number);
    else printf("%.6f", isfinite(f->number) ? f->number : 0.0);
}

static void print_json_ops(const bench_row *r)
{
    printf(", \"ops\": [");
    for (size_t i = 0; i < r->n_ops; i++) {
        printf("%s{\"name\": ", i ? ", " : "");
        json_write_string(stdout, r->ops[i].name);
        printf(", \"ns\": %llu, \"bytes\": %llu, \"flops\": %llu}",
               (unsigned long long)r->ops[i].ns, (unsigned long long)r->ops[i].bytes,
               (unsigned long long)r->ops[i].flops);
    }
    putchar(']');
}

static void print_json(const fields *f, const bench_row *r, const char *between)
{
    const double tokens = (double)r->test.n_seqs * (double)(r->test.n_prompt + r->test.n_gen);

    putchar('{');
    for (size_t i = 0; i < f->n; i++) {
        fputs(i ? between : between + 1, stdout);
        printf("\"%s\": ", f->item[i].name);
        print_json_value(&f->item[i]);
    }
    printf("%s\"samples_ns\": [", between);
    for (int i = 0; i < r->n_samples; i++)
        printf("%s%llu", i ? ", " : "", (unsigned long long)r->samples_ns[i]);
    printf("]%s\"samples_ts\": [", between);
    for (int i = 0; i < r->n_samples; i++)
        printf("%s%.6f", i ? ", " : "", 1e9 * tokens / (double)r->samples_ns[i]);
    putchar(']');
    if (r->n_ops) print_json_ops(r);
    putchar('}');
}

/* -------------------------------------------------------------- CSV, SQL ------------------ */

/* The value as text between two quotes of a kind, which are doubled inside. */
static void print_quoted(const field *f, char quote)
{
    putchar(quote);
    if (f->kind == REAL) printf("%.6f", f->number);
    else if (f->kind != TEXT) printf("%.0f", f->number);
    for (const char *c = f->kind == TEXT ? f->text : ""; *c; c++) {
        if (*c == quote) putchar(quote);
        putchar(*c);
    }
    putchar(quote);
}

static void print_names(const fields *f, const char *between, bool types)
{
    static const char *const type[] = { "TEXT", "INTEGER", "REAL", "INTEGER" };

    for (size_t i = 0; i < f->n; i++)
        printf("%s%s%s%s", i ? between : "", f->item[i].name, types ? " " : "",
               types ? type[f->item[i].kind] : "");
}

static void print_values(const fields *f, const char *between, char quote)
{
    for (size_t i = 0; i < f->n; i++) {
        if (i) fputs(between, stdout);
        print_quoted(&f->item[i], quote);
    }
}

static void print_sql(const fields *f, bool first)
{
    if (first) {
        printf("CREATE TABLE IF NOT EXISTS llama_bench (\n  ");
        print_names(f, ",\n  ", true);
        printf("\n);\n\n");
    }
    printf("INSERT INTO llama_bench (");
    print_names(f, ", ", false);
    printf(") VALUES (");
    print_values(f, ", ", '\'');
    printf(");\n");
}

/* -------------------------------------------------------------- Markdown ------------------ */

typedef struct column {
    const char *name;
    int         width;                    /* negative: to the left */
} column;

static const column columns[] = {
    { "model", -24 },   { "size", 10 },  { "params", 9 },  { "backend", -10 },
    { "threads", 7 },   { "kv", -4 },    { "test", 15 },   { "t/s", 18 },
    { "GB/s", 7 },      { "% read", 6 }, { "GFLOP/s", 8 }, { "% peak", 6 },
    { "first ms", 9 },  { "p50 ms", 8 }, { "p95 ms", 8 },  { "p99 ms", 8 },
    { "state+kv", 10 }, { "RSS", 10 },
};

enum { N_COLUMNS = sizeof columns / sizeof *columns };

static void print_head(void)
{
    for (int i = 0; i < N_COLUMNS; i++)
        printf("| %*s ", columns[i].width, columns[i].name);
    printf("|\n");
    for (int i = 0; i < N_COLUMNS; i++) {
        const bool left = columns[i].width < 0;
        putchar('|');
        putchar(' ');
        for (int k = 1; k < abs(columns[i].width); k++) putchar('-');
        fputs(left ? "- " : ": ", stdout);
    }
    printf("|\n");
}

static void print_cell(int i, const char *text)
{
    int extra = 0;                        /* bytes that are no columns */

    for (const char *c = text; *c; c++) extra += ((unsigned char)*c & 0xC0) == 0x80;
    const int width = columns[i].width;
    printf("| %*s ", width < 0 ? width - extra : width + extra, text);
}

static void print_number_cell(int i, int digits, double value)
{
    char text[32] = "-";
    if (value > 0.0) snprintf(text, sizeof text, "%.*f", digits, value);
    print_cell(i, text);
}

static void print_md(const bench_options *o, const bench_row *r)
{
    const bamba_model_info *info = &r->model->info;
    const bool billions = info->n_params >= 1000000000u;
    const bool made_up = r->test.n_depth > 0 && !o->real_fill;
    char text[96];
    int i = 0;

    print_cell(i++, r->model_type);
    print_cell(i++, bench_bytes(info->mapped_bytes + info->resident_bytes, text, sizeof text));
    snprintf(text, sizeof text, "%.2f %s", (double)info->n_params / (billions ? 1e9 : 1e6),
             billions ? "B" : "M");
    print_cell(i++, text);
    print_cell(i++, info->cpu);
    snprintf(text, sizeof text, "%d", r->n_threads);
    print_cell(i++, text);
    print_cell(i++, setup_kv_types[info->kv_type]);
    snprintf(text, sizeof text, "%s%s", r->test_name, made_up ? "*" : "");
    print_cell(i++, text);
    snprintf(text, sizeof text, "%.2f ± %.2f", r->avg_ts, r->stddev_ts);
    print_cell(i++, text);
    print_number_cell(i++, 1, r->avg_gbs);
    print_number_cell(i++, 1, r->pct_stream);
    print_number_cell(i++, 1, r->avg_gflops);
    print_number_cell(i++, 1, r->pct_peak);
    print_number_cell(i++, 1, (double)r->ttft_ns * 1e-6);
    print_number_cell(i++, 2, (double)r->p50_ns * 1e-6);
    print_number_cell(i++, 2, (double)r->p95_ns * 1e-6);
    print_number_cell(i++, 2, (double)r->p99_ns * 1e-6);
    print_cell(i++, bench_bytes(r->state_bytes + r->kv_bytes, text, sizeof text));
    print_cell(i++, bench_bytes(r->rss_bytes, text, sizeof text));
    printf("|\n");
}

void bench_print_ops(const bench_row *r)
{
    double all = 0.0;

    for (size_t i = 0; i < r->n_ops; i++) all += (double)r->ops[i].ns;
    printf("\n%s %s\n\n", r->model_type, r->test_name);
    printf("| operation  |       ms | share %% |      MB |   MFLOP |  GB/s | GFLOP/s | %% "
           "roofline |\n| ---------- | -------: | ------: | ------: | ------: | ----: | "
           "------: | ---------: |\n");
    for (size_t i = 0; i < r->n_ops; i++) {
        const bamba_op *op = &r->ops[i];
        const double ns = (double)op->ns;
        const double read = r->stream_gbs > 0.0 ? (double)op->bytes / r->stream_gbs : 0.0;
        const double compute = r->peak_gflops > 0.0 ? (double)op->flops / r->peak_gflops : 0.0;
        if (op->ns == 0) continue;
        printf("| %-10s | %8.3f | %7.1f | %7.1f | %7.1f | %5.1f | %7.1f | %10.1f |\n", op->name,
               ns * 1e-6, 100.0 * ns / all, (double)op->bytes * 1e-6, (double)op->flops * 1e-6,
               (double)op->bytes / ns, (double)op->flops / ns,
               100.0 * (read > compute ? read : compute) / ns);
    }
    printf("\nsum %.3f ms; with the timers off %.3f ms (%+.1f %%)\n\n", all * 1e-6,
           r->ops_ns * 1e-6, 100.0 * (all / r->ops_ns - 1.0));
}

/* -------------------------------------------------------------- all ----------------------- */

static bool any;                          /* a row has been printed */

void bench_print_begin(const bench_options *o)
{
    any = false;
    if (o->format == BENCH_MD) print_head();
    if (o->format == BENCH_JSON) fputs("[", stdout);
}

void bench_print_row(const bench_options *o, const bench_row *row)
{
    fields f;

    collect(&f, o, row);
    switch ((bench_format)o->format) {
    case BENCH_MD:
        if (any && o->ops) print_head();
        print_md(o, row);
        if (o->ops) bench_print_ops(row);
        break;
    case BENCH_JSON:
        printf("%s\n  ", any ? "," : "");
        print_json(&f, row, ",\n    ");
        break;
    case BENCH_JSONL:
        print_json(&f, row, ", ");
        putchar('\n');
        break;
    case BENCH_CSV:
        if (!any) {
            print_names(&f, ",", false);
            putchar('\n');
        }
        print_values(&f, ",", '"');
        putchar('\n');
        break;
    case BENCH_SQL: print_sql(&f, !any); break;
    }
    any = true;
    fflush(stdout);
}

void bench_print_end(const bench_options *o)
{
    if (o->format == BENCH_JSON) fputs("\n]\n", stdout);
    if (o->format != BENCH_MD) return;
    for (size_t i = 0; i < o->depths.n && !o->real_fill; i++)
        if (o->depths.value[i] > 0) {
            printf("\n* the depth was filled with random values (--fill real feeds tokens)\n");
            break;
        }
}

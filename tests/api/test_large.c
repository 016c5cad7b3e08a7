/* test_large.c - checkpoints of real size: opening must not read them, running must not copy them.
 *
 * Writes sharded bfloat16 checkpoints of random weights: one of 2 GB, always; one of Bamba-9B's
 * shape (19.6 GB) where disk and memory allow. Opening with a warm page cache takes under 3 s,
 * anonymous memory stays at what bamba_model_info says, and tokens come out. */
#include "bamba.h"

#include "support/tempdir.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct shape {
    const char *name;
    int V, D, F, L, heads, kv_heads;
    int ssm_heads, P, N, n_shards;
    int attention[4];                     /* ends with 0 */
} shape;

static const shape two_gb = { "2 GB", 32000, 2048, 7168, 12, 16, 4, 64, 64, 128, 3, { 5, 9 } };
static const shape bamba_9b = { "Bamba-9B", 128256, 4096, 14336, 32, 32, 8, 128, 64, 128, 5,
                                { 9, 18, 27 } };

/* -------------------------------------------------------------- writing ------------------ */

typedef struct tensor {
    char   name[96];
    size_t rows, cols, mid;               /* cols 0: a vector; mid 1: [rows, 1, cols] */
    float  center;                        /* values are center ± 0.02 */
} tensor;

typedef struct list {
    tensor item[1024];
    int    n;
} list;

static void add(list *l, const char *prefix, const char *name, size_t rows, size_t cols,
                float center)
{
    tensor *t = &l->item[l->n++];
    *t = (tensor){ .rows = rows, .cols = cols, .center = center };
    snprintf(t->name, sizeof t->name, "%s%s", prefix, name);
}

static bool is_attention(const shape *s, int layer)
{
    for (int i = 0; s->attention[i]; i++)
        if (s->attention[i] == layer) return true;
    return false;
}

static void add_mixer(list *l, const shape *s, int layer)
{
    const size_t D = (size_t)s->D, H = (size_t)s->ssm_heads, I = H * (size_t)s->P;
    const size_t C = I + 2 * (size_t)s->N, hd = D / (size_t)s->heads;
    char         p[64];

    if (is_attention(s, layer)) {
        snprintf(p, sizeof p, "model.layers.%d.self_attn.", layer);
        add(l, p, "q_proj.weight", D, D, 0);
        add(l, p, "k_proj.weight", (size_t)s->kv_heads * hd, D, 0);
        add(l, p, "v_proj.weight", (size_t)s->kv_heads * hd, D, 0);
        add(l, p, "o_proj.weight", D, D, 0);
        return;
    }
    snprintf(p, sizeof p, "model.layers.%d.mamba.", layer);
    add(l, p, "in_proj.weight", I + C + H, D, 0);
    add(l, p, "conv1d.weight", C, 4, 0.2f);
    l->item[l->n - 1].mid = 1;
    add(l, p, "conv1d.bias", C, 0, 0);
    add(l, p, "dt_bias", H, 0, -2);
    add(l, p, "A_log", H, 0, 1);
    add(l, p, "D", H, 0, 1);
    add(l, p, "norm.weight", I, 0, 1);
    add(l, p, "out_proj.weight", D, I, 0);
}

static void list_tensors(list *l, const shape *s)
{
    const size_t D = (size_t)s->D, F = (size_t)s->F;
    char         p[64];

    l->n = 0;
    add(l, "", "model.embed_tokens.weight", (size_t)s->V, D, 0);
    for (int i = 0; i < s->L; i++) {
        snprintf(p, sizeof p, "model.layers.%d.", i);
        add(l, p, "input_layernorm.weight", D, 0, 1);
        add_mixer(l, s, i);
        add(l, p, "pre_ff_layernorm.weight", D, 0, 1);
        add(l, p, "feed_forward.gate_proj.weight", F, D, 0);
        add(l, p, "feed_forward.up_proj.weight", F, D, 0);
        add(l, p, "feed_forward.down_proj.weight", D, F, 0);
    }
    add(l, "", "model.final_layernorm.weight", D, 0, 1);
    add(l, "", "lm_head.weight", (size_t)s->V, D, 0);
}

static size_t tensor_bytes(const tensor *t) { return t->rows * (t->cols ? t->cols : 1) * 2; }

enum { NOISE = 1 << 23 };                 /* elements that are repeated with a shift */

static uint16_t *make_noise(float center)
{
    uint16_t *noise = malloc(NOISE * sizeof *noise);
    uint64_t  x = 88172645463325252u;

    for (size_t i = 0; i < NOISE; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;      /* xorshift64, Marsaglia 2003 */
        const float v = center + 0.02f * ((float)(x >> 40) / 8388608.0f - 1.0f);
        uint32_t bits;
        memcpy(&bits, &v, 4);
        noise[i] = (uint16_t)(bits >> 16);
    }
    return noise;
}

static void write_all(int fd, const void *bytes, size_t n)
{
    const char *at = bytes;

    while (n > 0) {
        const ssize_t done = write(fd, at, n);
        assert_true(done > 0);
        at += done;
        n -= (size_t)done;
    }
}

static void write_data(int fd, const tensor *t, const uint16_t *noise)
{
    size_t left = tensor_bytes(t);
    size_t shift = strlen(t->name) * 977 % 4096;      /* layers differ */

    if (t->center != 0) {                 /* small: a noise of its own around the center */
        uint16_t *own = make_noise(t->center);
        write_all(fd, own, left);
        free(own);
        return;
    }
    while (left > 0) {
        const size_t n = left < (NOISE - shift) * 2 ? left : (NOISE - shift) * 2;
        write_all(fd, noise + shift, n);
        left -= n;
        shift = 0;
    }
}

static void write_shard(const list *l, int first, int last, const char *dir, const char *name,
                        const uint16_t *noise)
{
    char  *header = malloc((size_t)(last - first) * 256 + 16);
    size_t n = 8, offset = 0;
    char  *path = tempdir_path(dir, name);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    for (int i = first; i < last; i++) {
        const tensor *t = &l->item[i];
        const size_t  end = offset + tensor_bytes(t);
        n += (size_t)sprintf(header + n, "%c\"%s\":{\"dtype\":\"BF16\",\"shape\":[%zu",
                             i == first ? '{' : ',', t->name, t->rows);
        if (t->mid) n += (size_t)sprintf(header + n, ",1");
        if (t->cols) n += (size_t)sprintf(header + n, ",%zu", t->cols);
        n += (size_t)sprintf(header + n, "],\"data_offsets\":[%zu,%zu]}", offset, end);
        offset = end;
    }
    header[n++] = '}';
    while (n % 8) header[n++] = ' ';
    const uint64_t length = n - 8;
    memcpy(header, &length, 8);           /* x86 and arm are little-endian, as the format is */
    write_all(fd, header, n);
    for (int i = first; i < last; i++) write_data(fd, &l->item[i], noise);
    assert_int_equal(close(fd), 0);
    free(path);
    free(header);
}

static void write_checkpoint(const shape *s, const char *dir)
{
    static list l;
    uint16_t   *noise = make_noise(0);
    char       *index = malloc(1 << 18);
    char        text[1024];
    size_t      n = 0, total = 0, at = 0;
    int         first = 0;

    list_tensors(&l, s);
    for (int i = 0; i < l.n; i++) total += tensor_bytes(&l.item[i]);
    n += (size_t)sprintf(index, "{\"weight_map\":{");
    for (int shard = 1; shard <= s->n_shards; shard++) {
        int last = first;
        snprintf(text, sizeof text, "model-%05d-of-%05d.safetensors", shard, s->n_shards);
        const size_t end = total / (size_t)s->n_shards * (size_t)shard;
        for (; last < l.n && (shard == s->n_shards || at < end); last++) {
            at += tensor_bytes(&l.item[last]);
            n += (size_t)sprintf(index + n, "%s\"%s\":\"%s\"", last ? "," : "", l.item[last].name,
                                 text);
        }
        write_shard(&l, first, last, dir, text, noise);
        first = last;
    }
    sprintf(index + n, "}}");
    tempdir_write_text(dir, "model.safetensors.index.json", index);
    snprintf(text, sizeof text,
             "{\"model_type\":\"bamba\",\"vocab_size\":%d,\"hidden_size\":%d,"
             "\"intermediate_size\":%d,"
             "\"num_hidden_layers\":%d,\"num_attention_heads\":%d,\"num_key_value_heads\":%d,"
             "\"attn_layer_indices\":[%d,%d%s],\"mamba_n_heads\":%d,\"mamba_d_head\":%d,"
             "\"mamba_d_state\":%d,\"max_position_embeddings\":4096}", s->V, s->D, s->F, s->L,
             s->heads, s->kv_heads, s->attention[0], s->attention[1], s->attention[2] ? ",27" : "",
             s->ssm_heads, s->P, s->N);
    tempdir_write_text(dir, "config.json", text);
    free(index);
    free(noise);
}

/* -------------------------------------------------------------- measuring ---------------- */

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A field of a /proc file in bytes. */
static double proc_bytes(const char *path, const char *field)
{
    char   line[256];
    double kib = 0;
    FILE  *f = fopen(path, "r");

    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        if (strncmp(line, field, strlen(field)) == 0) kib = atof(line + strlen(field));
    fclose(f);
    return kib * 1024;
}

static double rss_anon_peak;

static int watch_memory(void *unused, uint64_t done, uint64_t total)
{
    const double now = proc_bytes("/proc/self/status", "RssAnon:");

    (void)unused, (void)done, (void)total;
    if (now > rss_anon_peak) rss_anon_peak = now;
    return 0;
}

static void open_and_check(bamba_model **m, const char *dir, const bamba_model_options *o)
{
    bamba_model_info info = BAMBA_MODEL_INFO;
    bamba_error      err = { BAMBA_OK, "" };
    const double     before = proc_bytes("/proc/self/status", "RssAnon:");

    rss_anon_peak = before;
    if (bamba_model_open(m, dir, o, &err) != BAMBA_OK) fail_msg("%s", err.message);
    watch_memory(NULL, 0, 0);
    assert_int_equal(bamba_model_info_get(*m, &info), BAMBA_OK);
#if !defined(__SANITIZE_ADDRESS__)        /* its shadow is anonymous memory too */
    assert_true(rss_anon_peak - before <= 1.05 * (double)info.resident_bytes + 8 * 1048576.0);
#endif
}

static void generate(const bamba_model *m, int n)
{
    bamba_engine  *e;
    bamba_session *s;
    const float   *logits;
    int32_t        id = 1;
    bamba_error    err;

    if (bamba_engine_create(&e, m, NULL, &err) != BAMBA_OK) fail_msg("%s", err.message);
    if (bamba_session_create(&s, m, NULL, &err) != BAMBA_OK) fail_msg("%s", err.message);
    bamba_model_info info = BAMBA_MODEL_INFO;
    bamba_model_info_get(m, &info);
    for (int i = 0; i < n; i++) {
        if (bamba_feed(e, s, &id, 1, &logits, &err) != BAMBA_OK) fail_msg("%s", err.message);
        int32_t best = 0;
        for (int32_t v = 0; v < info.n_vocab; v++) {
            assert_true(isfinite(logits[v]));
            if (logits[v] > logits[best]) best = v;
        }
        id = best;
    }
    bamba_session_free(s);
    bamba_engine_free(e);
}

static void run(const shape *s)
{
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    bamba_model        *m;
    char               *dir = tempdir_make();

    o.progress = watch_memory;
    write_checkpoint(s, dir);
    open_and_check(&m, dir, &o);          /* warms what opening reads */
    bamba_model_free(m);
    const double begin = seconds();
    open_and_check(&m, dir, &o);
    const double took = seconds() - begin;
    print_message("%s: opened in %.3f s\n", s->name, took);
    assert_true(took < 3.0);
    generate(m, 2);
    bamba_model_free(m);
    tempdir_remove(dir);
}

static void test_two_gb(void **unused)
{
    (void)unused;
    run(&two_gb);
}

static void test_bamba_9b(void **unused)
{
    struct statvfs disk;
    char          *dir = tempdir_make();
    const int      status = statvfs(dir, &disk);
    const double   room = (double)disk.f_bavail * (double)disk.f_frsize;

    (void)unused;
    tempdir_remove(dir);
    assert_int_equal(status, 0);
    if (room < 22e9 || proc_bytes("/proc/meminfo", "MemAvailable:") < 21e9) {
        print_message("SKIPPED: needs 22 GB of disk and 21 GB of memory\n");
        skip();
    }
    run(&bamba_9b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_gb),
        cmocka_unit_test(test_bamba_9b),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

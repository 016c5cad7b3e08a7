/* test_quantized.c - quantized matrices as compressed-tensors and transformers' fp8 publish them:
 * logits are those of the decoded weights, and what contradicts itself is refused in one line.
 *
 * Every scheme, and every refusal, is made from the small Bamba of tiny.h with random codes. Long
 * because it ends with a list. */
#include "bamba.h"

#include "support/fault.h"
#include "support/lab.h"
#include "support/tempdir.h"
#include "support/tiny.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const tiny_dims DIMS = TINY_DIMS;

/* -------------------------------------------------------------- schemes ------------------ */

typedef enum codes { F8, I8, PACKED4, PACKED8 } codes;

typedef struct scheme {
    codes       codes;
    int         block_rows, block_cols;   /* that share a scale; 0: all there are */
    bool        zero;
    const char *scale_dtype, *scale_name;
    const char *modules;                  /* end of the names of what is quantized */
    const char *config;                   /* quantization_config; NULL: nothing said */
} scheme;

#define CT(format, weights)                                                                        \
    "{\"quant_method\": \"compressed-tensors\", \"format\": \"" format "\", "                      \
    "\"quantization_status\": \"compressed\", \"ignore\": [\"lm_head\"], "                         \
    "\"kv_cache_scheme\": null, "                                                                  \
    "\"config_groups\": {\"group_0\": {\"targets\": [\"Linear\"], \"weights\": {" weights "}}}}"
#define INT4(rest) "\"num_bits\": 4, \"type\": \"int\", " rest
#define FP8(rest) "\"num_bits\": 8, \"type\": \"float\", " rest

static const scheme schemes[] = {
    { F8, 0, 0, false, "F32", "weight_scale", "proj",
      CT("float-quantized", FP8("\"strategy\": \"tensor\"")) },
    { F8, 1, 0, false, "BF16", "weight_scale", "proj",
      CT("float-quantized", FP8("\"strategy\": \"channel\"")) },
    { F8, 16, 24, false, "F32", "weight_scale", "proj",
      CT("float-quantized", FP8("\"strategy\": \"block\", \"block_structure\": [16, 24]")) },
    { F8, 128, 128, false, "F32", "weight_scale_inv", "proj", "{\"quant_method\": \"fp8\"}" },
    { F8, 0, 0, false, "F32", "weight_scale_inv", "proj",
      "{\"quant_method\": \"fp8\", \"weight_block_size\": null}" },
    { F8, 16, 8, false, "F8_E8M0", "weight_scale_inv", "proj",
      "{\"quant_method\": \"fp8\", \"weight_block_size\": [16, 8]}" },
    { F8, 1, 0, false, "F16", "weight_scale", "lm_head", NULL },
    { F8, 1, 0, false, "F32", "weight_scale", "embed_tokens", NULL },
    { I8, 1, 0, false, "BF16", "weight_scale", "proj",
      CT("int-quantized", "\"strategy\": \"channel\"") },
    { I8, 0, 0, false, "F32", "weight_scale", "proj", NULL },
    { I8, 1, 0, true, "F32", "weight_scale", "proj",
      CT("int-quantized", "\"strategy\": \"channel\", \"symmetric\": false") },
    { PACKED4, 1, 16, false, "BF16", "weight_scale", "proj",
      CT("pack-quantized", INT4("\"strategy\": \"group\", \"group_size\": 16")) },
    { PACKED4, 1, 8, true, "F32", "weight_scale", "proj",
      CT("pack-quantized",
         INT4("\"group_size\": 8, \"symmetric\": false, \"actorder\": \"weight\"")) },
    { PACKED4, 1, 0, false, "F16", "weight_scale", "proj",
      CT("pack-quantized", INT4("\"strategy\": \"channel\"")) },
    { PACKED4, 1, 0, true, "F32", "weight_scale", "lm_head", NULL },
    { PACKED8, 1, 16, false, "F32", "weight_scale", "proj", NULL },
    { PACKED8, 1, 8, true, "BF16", "weight_scale", "proj", NULL },
    { PACKED8, 1, 0, false, "F32", "weight_scale", "embed_tokens", NULL },
    { F8, 0, 0, false, "F32", "weight_scale", "proj",
      "{\"quant_method\": \"fp8\", \"activation_scheme\": \"static\"}" },
    { F8, 0, 0, false, "F32", "weight_scale", "proj",
      "{\"quant_method\": \"modelopt\", \"quant_algo\": \"FP8\", \"ignore\": [\"lm_head\"]}" },
    { F8, 1, 0, false, "F32", "weight_scale", "proj",
      "{\"quant_method\": \"compressed-tensors\", \"format\": \"naive-quantized\", "
      "\"quantization_status\": \"frozen\", \"config_groups\": {\"group_0\": {\"targets\": "
      "[\"Linear\"], \"weights\": {\"num_bits\": 8, \"type\": \"float\", "
      "\"strategy\": \"channel\"}}}}" },
};
enum { N_SCHEMES = sizeof schemes / sizeof schemes[0] };

static int divide_up(int a, int b) { return (a + b - 1) / b; }

static double f8_value(uint8_t code)
{
    const int    e = code >> 3 & 15, m = code & 7;
    const double size = e ? ldexp(8 + m, e - 10) : ldexp(m, -9);
    return code & 0x80 ? -size : size;
}

/* -------------------------------------------------------------- a matrix ----------------- */

/* Random codes with their scales and zeros, [rows, cols] and [down, across]. */
typedef struct matrix {
    int      rows, cols, down, across, block_rows, block_cols;
    uint8_t *code;
    float   *scale;
    int     *zero;
} matrix;

static matrix make_matrix(const scheme *s, int rows, int cols, uint64_t *seed)
{
    matrix m = { .rows = rows, .cols = cols, .block_rows = s->block_rows ? s->block_rows : rows,
                 .block_cols = s->block_cols ? s->block_cols : cols };
    const double most = s->codes == F8 ? 448 : s->codes == PACKED4 ? 8 : 128;

    m.down = divide_up(rows, m.block_rows);
    m.across = divide_up(cols, m.block_cols);
    m.code = malloc((size_t)rows * (size_t)cols);
    m.scale = malloc((size_t)(m.down * m.across) * sizeof *m.scale);
    m.zero = calloc((size_t)(m.down * m.across), sizeof *m.zero);
    if (!m.code || !m.scale || !m.zero) abort();
    for (int i = 0; i < rows * cols; i++) {
        m.code[i] = (uint8_t)(256 * lab_uniform(seed));
        if (s->codes == F8 && (m.code[i] & 0x7F) == 0x7F) m.code[i] ^= 1;
        if (s->codes == PACKED4) m.code[i] &= 15;
    }
    for (int i = 0; i < m.down * m.across; i++) {
        const float v = (float)((0.5 + lab_uniform(seed)) * 2 / sqrt(cols) / most);
        m.scale[i] = strcmp(s->scale_dtype, "BF16") == 0 ? (float)lab_bf16(store_bf16(v))
                   : strcmp(s->scale_dtype, "F16") == 0 ? (float)lab_f16(store_f16(v))
                   : strcmp(s->scale_dtype, "F8_E8M0") == 0 ? exp2f(floorf(log2f(v))) : v;
        if (s->zero) m.zero[i] = (int)(most * lab_uniform(seed)) - (int)most / 2;
    }
    return m;
}

static void free_matrix(matrix *m)
{
    free(m->code);
    free(m->scale);
    free(m->zero);
}

static float value_at(const scheme *s, const matrix *m, int r, int c)
{
    const int     b = r / m->block_rows * m->across + c / m->block_cols;
    const uint8_t code = m->code[r * m->cols + c];
    const double  value = s->codes == F8 ? f8_value(code) : s->codes == I8 ? (int8_t)code
                        : s->codes == PACKED4 ? code - 8 : code - 128;
    return (float)((double)m->scale[b] * (value - m->zero[b]));
}

/* -------------------------------------------------------------- a module ----------------- */

static void name_part(char *out, size_t size, const char *module, const char *part)
{
    snprintf(out, size, "%s.%s", module, part);
}

/* Codes of `bits` bits, `stride` apart, into words of 32 bits that are `across` apart. */
static void pack(const uint8_t *code, int n, int stride, int bits, uint32_t *words, int across)
{
    for (int i = 0; i < n; i++)
        words[i * bits / 32 * across] |= (uint32_t)code[i * stride] << i * bits % 32;
}

static void add_packed(store *out, const char *module, const scheme *s, const matrix *m)
{
    const int bits = s->codes == PACKED4 ? 4 : 8, across = divide_up(m->cols * bits, 32);
    const int down = divide_up(m->down * bits, 32), n_zeros = m->down * m->across;
    uint32_t *words = calloc((size_t)(m->rows * across), 4);
    uint32_t *zeros = calloc((size_t)(down * m->across), 4);
    uint8_t  *zero = malloc((size_t)n_zeros);
    char      name[160];

    if (!words || !zeros || !zero) abort();
    for (int r = 0; r < m->rows; r++)
        pack(m->code + r * m->cols, m->cols, 1, bits, words + r * across, 1);
    name_part(name, sizeof name, module, "weight_packed");
    store_add_bytes(out, name, "I32", 2, (const size_t[]){ (size_t)m->rows, (size_t)across },
                    words);
    name_part(name, sizeof name, module, "weight_shape");
    store_add_bytes(out, name, "I64", 1, (const size_t[]){ 2 },
                    (const int64_t[]){ m->rows, m->cols });
    for (int i = 0; i < n_zeros; i++) zero[i] = (uint8_t)(m->zero[i] + (1 << (bits - 1)));
    for (int i = 0; i < m->across; i++)
        pack(zero + i, m->down, m->across, bits, zeros + i, m->across);
    name_part(name, sizeof name, module, "weight_zero_point");
    if (s->zero)
        store_add_bytes(out, name, "I32", 2, (const size_t[]){ (size_t)down, (size_t)m->across },
                        zeros);
    free(words);
    free(zeros);
    free(zero);
}

static void add_plain(store *out, const char *module, const scheme *s, const matrix *m)
{
    int8_t zero[256];
    char   name[160];

    name_part(name, sizeof name, module, "weight");
    store_add_bytes(out, name, s->codes == F8 ? "F8_E4M3" : "I8", 2,
                    (const size_t[]){ (size_t)m->rows, (size_t)m->cols }, m->code);
    if (!s->zero) return;
    for (int i = 0; i < m->down * m->across; i++) zero[i] = (int8_t)m->zero[i];
    name_part(name, sizeof name, module, "weight_zero_point");
    store_add_bytes(out, name, "I8", 2, (const size_t[]){ (size_t)m->down, (size_t)m->across },
                    zero);
}

static void add_scales(store *out, const char *module, const scheme *s, const matrix *m)
{
    const size_t dim[] = { (size_t)m->down, (size_t)m->across };
    const int    n_dims = m->down * m->across > 1 ? 2 : s->scale_name[6] == '_' && s->codes == F8;
    uint8_t      bits[256];
    char         name[160];

    name_part(name, sizeof name, module, s->scale_name);
    if (strcmp(s->scale_dtype, "F8_E8M0") != 0) {
        store_add(out, name, s->scale_dtype, n_dims, dim, m->scale);
    } else {
        for (int i = 0; i < m->down * m->across; i++)
            bits[i] = (uint8_t)(127 + ilogbf(m->scale[i]));
        store_add_bytes(out, name, s->scale_dtype, n_dims, dim, bits);
    }
    name_part(name, sizeof name, module, "input_scale");
    if (s->codes == F8)
        store_add(out, name, "F32", 1, (const size_t[]){ 1 }, (const float[]){ 0.25f });
}

/* Replace the matrix of a module by random codes in `packed`, by what they decode to in
   `floats`. */
static void quantize(const scheme *s, const char *module, store *packed, store *floats,
                     uint64_t *seed)
{
    char name[160];

    name_part(name, sizeof name, module, "weight");
    store_tensor *t = store_find(floats, name);
    matrix        m = make_matrix(s, (int)t->dim[0], (int)t->dim[1], seed);
    for (int i = 0; i < m.rows * m.cols; i++) {
        const float v = value_at(s, &m, i / m.cols, i % m.cols);
        memcpy(t->data + 4 * i, &v, sizeof v);
    }
    store_drop(packed, name);
    if (s->codes >= PACKED4) add_packed(packed, module, s, &m);
    else add_plain(packed, module, s, &m);
    add_scales(packed, module, s, &m);
    free_matrix(&m);
}

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static void make_stores(const scheme *s, store *packed, store *floats)
{
    uint64_t seed = 5;
    char     end[64], module[120];
    int      n = 0;

    *packed = *floats = (store){ NULL, 0, 0 };
    tiny_tensors(&DIMS, packed);
    tiny_tensors(&DIMS, floats);
    snprintf(end, sizeof end, "%s.weight", s->modules);
    for (size_t i = 0; i < floats->n; i++) {
        if (!ends_with(floats->tensor[i].name, end)) continue;
        snprintf(module, sizeof module, "%.*s", (int)(strlen(floats->tensor[i].name) - 7),
                 floats->tensor[i].name);
        quantize(s, module, packed, floats, &seed);
        n++;
    }
    assert_true(n > 0);
    if (s->codes == F8)
        store_add(packed, "model.layers.1.self_attn.k_scale", "F32", 1, (const size_t[]){ 1 },
                  (const float[]){ 0.5f });
}

static void write_dir(const char *dir, const store *s, const char *quantization)
{
    char *config = tiny_config(&DIMS, "quantization_config", quantization ? quantization : "null");

    tempdir_write_text(dir, "config.json", config);
    tiny_write_tensors(s, 0, dir);
    free(config);
}

/* -------------------------------------------------------------- logits ------------------- */

enum { LONG = 40, SHORT = 3, N_IDS = LONG + SHORT };      /* many rows, then one by one */

/* Logits [SHORT + 1, n_vocab] behind LONG tokens and each one after. */
static float *run(const char *dir, bamba_type type, int copy, bamba_model_info *info)
{
    bamba_model_options   o = BAMBA_MODEL_OPTIONS;
    bamba_engine_options  eo = BAMBA_ENGINE_OPTIONS;
    bamba_session_options so = BAMBA_SESSION_OPTIONS;
    bamba_model          *m;
    bamba_engine         *e;
    bamba_session        *s;
    bamba_error           err;
    const float          *row;
    int32_t               ids[N_IDS];
    float                *out = malloc((SHORT + 1) * (size_t)DIMS.n_vocab * sizeof *out);

    if (!out) abort();
    o.weight_type = type;
    o.kv_type = BAMBA_TYPE_F32;
    o.compute_type = BAMBA_TYPE_F32;
    o.copy_weights = copy;
    o.n_threads = 2;
    eo.n_threads = 2;
    for (int i = 0; i < N_IDS; i++) ids[i] = (i * 7 + 3) % DIMS.n_vocab;
    if (bamba_model_open(&m, dir, &o, &err) != BAMBA_OK) fail_msg("%s", err.message);
    *info = (bamba_model_info)BAMBA_MODEL_INFO;
    assert_int_equal(bamba_model_info_get(m, info), BAMBA_OK);
    info->architecture = info->cpu = NULL;
    assert_int_equal(bamba_engine_create(&e, m, &eo, &err), BAMBA_OK);
    assert_int_equal(bamba_session_create(&s, m, &so, &err), BAMBA_OK);
    for (int i = 0; i <= SHORT; i++) {
        const int32_t *from = i ? ids + LONG + i - 1 : ids;
        assert_int_equal(bamba_feed(e, s, from, i ? 1 : LONG, &row, &err), BAMBA_OK);
        memcpy(out + i * DIMS.n_vocab, row, (size_t)DIMS.n_vocab * sizeof *out);
    }
    bamba_session_free(s);
    bamba_engine_free(e);
    bamba_model_free(m);
    return out;
}

static void expect_close(const char *about, const float *found, const float *want)
{
    const int n = (SHORT + 1) * DIMS.n_vocab;
    double    most = 0.0, error = 0.0;

    for (int i = 0; i < n; i++) {
        most = fmax(most, fabs((double)want[i]));
        error = fmax(error, fabs((double)found[i] - (double)want[i]));
    }
    if (!(error <= 2e-5 * most)) fail_msg("%s: off by %g of %g", about, error, most);
}

static void test_logits(void **state)
{
    char *const dir = *state, about[80];

    for (int i = 0; i < N_SCHEMES; i++) {
        store            packed, floats;
        bamba_model_info info, plain;
        make_stores(&schemes[i], &packed, &floats);
        write_dir(dir, &floats, NULL);
        float *want = run(dir, BAMBA_TYPE_DEFAULT, 0, &plain);
        write_dir(dir, &packed, schemes[i].config);
        for (int j = 0; j < 3; j++) {
            snprintf(about, sizeof about, "scheme %d, %s", i,
                     j == 0 ? "in place" : j == 1 ? "copied" : "as float32");
            float *found = run(dir, j == 2 ? BAMBA_TYPE_F32 : BAMBA_TYPE_DEFAULT, j == 1, &info);
            expect_close(about, found, want);
            free(found);
            assert_int_equal(info.n_params, plain.n_params);
            if (j == 0) assert_true(info.mapped_bytes < plain.mapped_bytes);
            if (j == 1) assert_int_equal(info.mapped_bytes, 0);
            if (j < 2) assert_true(info.weights_bytes < plain.weights_bytes
                                   || strcmp(schemes[i].modules, "proj") != 0);
        }
        free(want);
        store_free(&packed);
        store_free(&floats);
    }
}

/* Two schemes in one model, by expressions, and matrices that nobody quantized. */
static void test_mixed(void **state)
{
    static const char config[] =
        "{\"quant_method\": \"compressed-tensors\", \"format\": \"mixed-precision\", "
        "\"ignore\": [\"re:.*in_proj\"], \"config_groups\": {"
        "\"a\": {\"targets\": [\"re:.*(gate|up)_proj$\"], \"format\": \"pack-quantized\", "
        "\"weights\": {" INT4("\"strategy\": \"group\", \"group_size\": 16") "}}, "
        "\"b\": {\"targets\": [\"Linear\"], \"format\": \"float-quantized\", \"weights\": "
        "{" FP8("\"strategy\": \"channel\"") "}}}}";
    scheme           four = schemes[11], eight = schemes[1];
    store            packed, floats, unused;
    uint64_t         seed = 9;
    bamba_model_info info;
    char *const      dir = *state;

    four.modules = "gate_proj";
    make_stores(&four, &packed, &floats);
    quantize(&four, "model.layers.0.feed_forward.up_proj", &packed, &floats, &seed);
    quantize(&eight, "model.layers.0.feed_forward.down_proj", &packed, &floats, &seed);
    quantize(&eight, "model.layers.1.self_attn.o_proj", &packed, &floats, &seed);
    unused = floats;
    write_dir(dir, &unused, NULL);
    float *want = run(dir, BAMBA_TYPE_DEFAULT, 0, &info);
    write_dir(dir, &packed, config);
    float *found = run(dir, BAMBA_TYPE_DEFAULT, 0, &info);
    expect_close("mixed", found, want);
    free(want);
    free(found);
    store_free(&packed);
    store_free(&floats);
}

/* -------------------------------------------------------------- refusals ----------------- */

#define MODULE "model.layers.0.feed_forward.gate_proj"    /* 48 rows, 32 columns */
#define NORM   "model.layers.0.input_layernorm.weight"

static void expect_refused(const char *dir, const char *what, const char *words)
{
    fault               f = { 0 };
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    bamba_model        *m;
    bamba_error         err = { BAMBA_OK, "" };

    o.allocator = fault_allocator(&f);
    o.n_threads = 1;
    const bamba_status status = bamba_model_open(&m, dir, &o, &err);
    if (status == BAMBA_OK) fail_msg("%s: was opened", what);
    if (status != BAMBA_ERR_FORMAT && status != BAMBA_ERR_UNSUPPORTED)
        fail_msg("%s: status %d: %s", what, status, err.message);
    if (!strstr(err.message, words)) fail_msg("%s: '%s' not in '%s'", what, words, err.message);
    for (const char *c = err.message; *c; c++)
        if ((unsigned char)*c < 0x20) fail_msg("%s: control character in '%s'", what, err.message);
    if (f.n_live) fail_msg("%s: %zu blocks leaked", what, f.n_live);
}

enum { DROP, SHAPE, ADD, NUMBERS };

/* One change of a tensor, and what the message must say. */
typedef struct damage {
    int         scheme, kind;
    const char *part, *dtype;
    int         n_dims;
    size_t      dim[3];
    double      number;                   /* of the first element, F32 or I64 */
    const char *words;
} damage;

enum { ON_FP8 = 1, ON_INT8 = 8, ON_PACKED = 12 };         /* numbers in schemes */

static const damage damages[] = {
    { ON_PACKED, DROP, "weight_scale", "", 0, { 0 }, 0,
      "'" MODULE ".weight_scale': expected this tensor beside" },
    { ON_PACKED, DROP, "weight_shape", "", 0, { 0 }, 0,
      "'" MODULE ".weight_shape': expected this tensor beside" },
    { ON_PACKED, DROP, "weight_packed", "", 0, { 0 }, 0,
      "'" MODULE ".weight': expected this tensor" },
    { ON_PACKED, DROP, "weight_zero_point", "", 0, { 0 }, 0,
      "'" MODULE ".weight_zero_point': expected this tensor" },
    { ON_PACKED, NUMBERS, "weight_shape", "I64", 0, { 0 }, 47,
      "weight_shape': expected 48, 32, found 47, 32" },
    { ON_PACKED, NUMBERS, "weight_shape", "I64", 0, { 0 }, -1,
      "weight_shape': expected 48, 32, found -1, 32" },
    { ON_PACKED, SHAPE, "weight_shape", "I64", 1, { 3 }, 0,
      "weight_shape': expected I64 [2], found I64 [3]" },
    { ON_PACKED, SHAPE, "weight_shape", "F32", 1, { 2 }, 0,
      "weight_shape': expected I64 [2], found F32 [2]" },
    { ON_PACKED, SHAPE, "weight_packed", "I32", 2, { 48, 5 }, 0,
      "weight_packed': expected I32 [48, 4], found I32 [48, 5]" },
    { ON_PACKED, SHAPE, "weight_packed", "I32", 2, { 47, 4 }, 0,
      "weight_packed': expected I32 [48, 4], found I32 [47, 4]" },
    { ON_PACKED, SHAPE, "weight_packed", "I32", 1, { 192 }, 0,
      "weight_packed': expected I32 [48, 4], found I32 [192]" },
    { ON_PACKED, SHAPE, "weight_packed", "I32", 2, { 48, 0 }, 0,
      "weight_packed': expected I32 [48, 4], found I32 [48, 0]" },
    { ON_PACKED, SHAPE, "weight_packed", "I64", 2, { 48, 4 }, 0,
      "weight_packed': expected I32 [48, 4], found I64 [48, 4]" },
    { ON_PACKED, SHAPE, "weight_packed", "U8", 2, { 48, 16 }, 0,
      "weight_packed': expected I32, found U8: nvfp4" },
    { ON_PACKED, SHAPE, "weight_scale", "F32", 2, { 48, 3 }, 0,
      "weight_scale': expected F32 [48, 4], found F32 [48, 3]" },
    { ON_PACKED, SHAPE, "weight_scale", "F32", 2, { 48, 2 }, 0,
      "weight_scale': expected F32 [48, 4], found F32 [48, 2]" },
    { ON_PACKED, SHAPE, "weight_scale", "F32", 2, { 47, 4 }, 0,
      "weight_scale': expected F32 [48, 4], found F32 [47, 4]" },
    { ON_PACKED, SHAPE, "weight_scale", "F32", 2, { 0, 4 }, 0,
      "weight_scale': expected F32 [48, 4], found F32 [0, 4]" },
    { ON_PACKED, SHAPE, "weight_scale", "F32", 3, { 48, 4, 1 }, 0,
      "weight_scale': expected at most 2 dimensions" },
    { ON_PACKED, SHAPE, "weight_scale", "F64", 2, { 48, 4 }, 0,
      "weight_scale': expected F32, BF16, F16 or F8_E8M0, found F64" },
    { ON_PACKED, SHAPE, "weight_scale", "I32", 2, { 48, 4 }, 0,
      "weight_scale': expected F32, BF16, F16 or F8_E8M0, found I32" },
    { ON_PACKED, NUMBERS, "weight_scale", "F32", 0, { 0 }, (double)NAN,
      "weight_scale': expected finite numbers, found nan at element 0" },
    { ON_PACKED, NUMBERS, "weight_scale", "F32", 0, { 0 }, (double)INFINITY,
      "weight_scale': expected finite numbers, found inf" },
    { ON_PACKED, SHAPE, "weight_zero_point", "I32", 2, { 5, 4 }, 0,
      "weight_zero_point': expected I32 [6, 4], found I32 [5, 4]" },
    { ON_PACKED, SHAPE, "weight_zero_point", "I32", 2, { 6, 3 }, 0,
      "weight_zero_point': expected I32 [6, 4], found I32 [6, 3]" },
    { ON_PACKED, SHAPE, "weight_zero_point", "F32", 2, { 48, 4 }, 0,
      "weight_zero_point': expected I8 [48, 4], found F32 [48, 4]" },
    { ON_PACKED, ADD, "weight_g_idx", "I32", 1, { 32 }, 0,
      "weight_g_idx': groups of columns in the order of activations" },
    { ON_PACKED, ADD, "weight_global_scale", "F32", 1, { 1 }, 0,
      "weight_global_scale': scales of scales" },
    { ON_PACKED, ADD, "weight", "F32", 2, { 48, 32 }, 0,
      "weight_packed': expected either this tensor or one named 'weight'" },
    { ON_PACKED, ADD, "weight_scale_inv", "F32", 2, { 1, 1 }, 0,
      "weight_scale': expected one tensor of scales" },
    { ON_PACKED, ADD, "qweight", "I32", 1, { 8 }, 0,
      "qweight': this tensor belongs to no part of the model" },
    { ON_FP8, DROP, "weight_scale", "", 0, { 0 }, 0,
      "'" MODULE ".weight_scale': expected this tensor beside" },
    { ON_FP8, DROP, "weight", "", 0, { 0 }, 0, "'" MODULE ".weight': expected this tensor" },
    { ON_FP8, SHAPE, "weight", "F8_E4M3", 2, { 48, 33 }, 0,
      "weight': expected F8_E4M3 [48, 32], found F8_E4M3 [48, 33]" },
    { ON_FP8, SHAPE, "weight", "F8_E5M2", 2, { 48, 32 }, 0,
      "weight': expected F8_E4M3 or I8 beside scales, found F8_E5M2" },
    { ON_FP8, SHAPE, "weight", "BF16", 2, { 48, 32 }, 0,
      "weight': expected F8_E4M3 or I8 beside scales, found BF16" },
    { ON_FP8, SHAPE, "weight", "I8", 2, { 48, 32 }, 0,
      "weight': expected 8 bits of type 'float' as config.json says, found I8" },
    { ON_FP8, SHAPE, "weight_scale", "BF16", 2, { 48, 2 }, 0,
      "weight_scale': expected BF16 [48, 1], found BF16 [48, 2]" },
    { ON_FP8, SHAPE, "weight_scale", "BF16", 1, { 1 }, 0,
      "weight_scale': expected BF16 [48, 1], found BF16 [1]" },
    { ON_FP8, ADD, "weight_zero_point", "I8", 2, { 48, 1 }, 0,
      "weight_zero_point': zeros beside F8_E4M3 are not read" },
    { ON_INT8, SHAPE, "weight_scale", "BF16", 2, { 32, 1 }, 0,
      "weight_scale': expected BF16 [48, 1], found BF16 [32, 1]" },
    { 9, SHAPE, "weight_scale", "F32", 2, { 48, 5 }, 0,
      "weight_scale': expected a scale for 48 x 32 weights" },
    { 15, SHAPE, "weight_packed", "I32", 2, { 48, 7 }, 0,
      "weight_packed': expected I32 [48, 4], found I32 [48, 7]" },
};

static void test_damaged_tensors(void **state)
{
    char *const dir = *state, name[160], what[200];

    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        const damage       *d = &damages[i];
        const float         number = (float)d->number;
        const int64_t       whole = d->kind == NUMBERS && d->dtype[0] == 'I' ? (int64_t)d->number
                                                                             : 0;
        static const float  zeros[48 * 40];
        store               packed, floats;
        make_stores(&schemes[d->scheme], &packed, &floats);
        name_part(name, sizeof name, MODULE, d->part);
        snprintf(what, sizeof what, "damage %zu of %s", i, name);
        store_tensor *t = store_find(&packed, name);
        if (d->kind == DROP) store_drop(&packed, name);
        if (d->kind == SHAPE) store_reshape(t, d->dtype, d->n_dims, d->dim);
        if (d->kind == ADD) store_add_bytes(&packed, name, d->dtype, d->n_dims, d->dim, zeros);
        if (d->kind == NUMBERS && d->dtype[0] == 'F') memcpy(t->data, &number, sizeof number);
        if (d->kind == NUMBERS && d->dtype[0] == 'I') memcpy(t->data, &whole, sizeof whole);
        write_dir(dir, &packed, schemes[d->scheme].config);
        expect_refused(dir, what, d->words);
        store_free(&packed);
        store_free(&floats);
    }
}

/* Bytes where nothing gives them a scale. */
static void test_bare_bytes(void **state)
{
    static const char *const dtypes[] = { "F8_E4M3", "I8", "F8_E5M2", "U8" };
    char *const dir = *state;

    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        store s = { NULL, 0, 0 };
        tiny_tensors(&DIMS, &s);
        store_reshape(store_find(&s, NORM), dtypes[i], 1, (const size_t[]){ (size_t)DIMS.d_model });
        write_dir(dir, &s, NULL);
        expect_refused(dir, dtypes[i], "'" NORM "': expected F32, BF16 or F16, found ");
        store_free(&s);
    }
}

/* What config.json says against good tensors (scheme ON_PACKED), or cannot be done. */
static void test_configs(void **state)
{
    static const struct { const char *config, *words; } bad[] = {
        { CT("pack-quantized", INT4("\"group_size\": 16, \"symmetric\": false")),
          "expected F32 [200, 2], found F32 [200, 4]" },
        { CT("pack-quantized", "\"num_bits\": 8, \"group_size\": 8"),
          "expected I32 [200, 8], found I32 [200, 4]" },
        { CT("pack-quantized", FP8("\"strategy\": \"channel\"")),
          "expected I32 [200, 8], found I32 [200, 4]" },
        { CT("pack-quantized", INT4("\"strategy\": \"channel\"")),
          "expected F32 [200, 1], found F32 [200, 4]" },
        { CT("pack-quantized", INT4("\"strategy\": \"group\", \"group_size\": 0")),
          "'quantization_config.config_groups.group_0.weights.group_size': expected at least 1, "
          "found 0" },
        { CT("pack-quantized", INT4("\"group_size\": -2, \"strategy\": \"group\"")), "group_size" },
        { CT("pack-quantized", "\"num_bits\": 3, \"group_size\": 8"),
          "num_bits': expected 8 or 4 bits of type 'int' or 8 of type 'float', found 3 of 'int'" },
        { CT("float-quantized", "\"num_bits\": 4, \"type\": \"float\""),
          "num_bits': expected 8 or 4 bits of type 'int' or 8 of type 'float', found 4 of "
          "'float'" },
        { CT("pack-quantized", INT4("\"strategy\": \"tensor_group\", \"group_size\": 16")),
          "strategy': expected tensor, channel, group or block, found 'tensor_group'" },
        { CT("pack-quantized", INT4("\"strategy\": \"block\"")),
          "block_structure': expected two sizes, found 0" },
        { CT("pack-quantized", INT4("\"strategy\": \"block\", \"block_structure\": [0, 8]")),
          "block_structure[0]': expected a size of at least 1, found 0" },
        { CT("pack-quantized", INT4("\"group_size\": 8, \"actorder\": \"group\"")),
          "actorder': expected 'weight', found 'group'" },
        { CT("nvfp4-pack-quantized", INT4("\"group_size\": 8")), "format': expected float-, "
          "naive-, int- or pack-quantized or mixed-precision, found 'nvfp4-pack-quantized'" },
        { CT("marlin-24", INT4("\"group_size\": 8")), "found 'marlin-24'" },
        { "{\"quant_method\": \"compressed-tensors\", \"quantization_status\": \"calibration\"}",
          "quantization_status': expected 'compressed' or 'frozen', found 'calibration'" },
        { "{\"quant_method\": \"compressed-tensors\", \"sparsity_config\": {\"format\": "
          "\"sparse-24-bitmask\"}}", "sparsity_config': expected nothing" },
        { "{\"quant_method\": \"compressed-tensors\", \"transform_config\": {\"config_groups\": "
          "{\"a\": {}}}}", "transform_config': expected nothing" },
        { "{\"quant_method\": \"compressed-tensors\", \"ignore\": [\"re:(\"]}",
          "'quantization_config.ignore[0]': pattern: missing closing parenthesis" },
        { "{\"quant_method\": \"compressed-tensors\", \"ignore\": [7]}",
          "'quantization_config.ignore[0]': expected a " },
        { "{\"quant_method\": \"fp8\", \"fmt\": \"e5m2\"}", "fmt': expected 'e4m3', found 'e5m2'" },
        { "{\"quant_method\": \"fp8\", \"weight_block_size\": [128]}",
          "weight_block_size': expected two sizes, found 1" },
        { "{\"quant_method\": \"fp8\", \"weight_block_size\": [128, 0]}",
          "weight_block_size[1]': expected a size of at least 1, found 0" },
        { "{\"quant_method\": \"gptq\", \"bits\": 4}",
          "quant_method is 'gptq': checkpoints quantized by this method are not read" },
        { "{\"quant_method\": \"awq\", \"bits\": 4}", "quant_method is 'awq'" },
        { "{\"load_in_8bit\": true}", "quant_method is 'bitsandbytes'" },
        { "{\"quant_method\": \"mxfp4\"}", "quant_method is 'mxfp4'" },
        { "{\"quant_method\": \"modelopt\", \"quant_algo\": \"NVFP4\"}",
          "quant_algo': expected 'FP8', found 'NVFP4'" },
        { "{\"quant_method\": \"modelopt\"}", "quant_algo': expected 'FP8', found ''" },
    };
    char *const dir = *state;
    store       packed, floats;

    make_stores(&schemes[ON_PACKED], &packed, &floats);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_dir(dir, &packed, bad[i].config);
        expect_refused(dir, bad[i].config, bad[i].words);
    }
    store_free(&packed);
    store_free(&floats);
}

/* -------------------------------------------------------------- main --------------------- */

static int make_dir(void **state) { return (*state = tempdir_make()) == NULL; }
static int remove_dir(void **state) { return tempdir_remove(*state), 0; }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_logits, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_mixed, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_damaged_tensors, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_bare_bytes, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_configs, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

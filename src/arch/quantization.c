/* quantization.c - what config.json says of quantized modules. */
#include "arch/quantization.h"

#include "text/regex.h"

#include <limits.h>
#include <string.h>

/* What names modules: their full name, the class of all linear maps, or "re:" and an expression
   that begins where the name begins. */
typedef struct target {
    char     *name;                       /* NULL: the expression */
    bb_regex *regex;
    int       group;                      /* whose scheme; -1: ignored */
} target;

struct bb_quantization {
    bb_allocator alloc;
    bb_scheme   *scheme;                  /* [n_schemes] of the groups */
    target      *target;                  /* [n_targets] in the order of the file */
    size_t       n_schemes, n_targets;
    bb_matcher  *matcher;
};

static const char CONFIG[] = "quantization_config", OLD_CONFIG[] = "compression_config";
static const char MODELOPT[] = "modelopt";

static bb_json find_config(const bb_json *config)
{
    return bb_json_get(config, bb_json_has(config, CONFIG) ? CONFIG : OLD_CONFIG);
}

/* -------------------------------------------------------------- methods ------------------ */

static const char *method_of(const bb_json *q)
{
    const bool is_bnb = bb_json_has(q, "load_in_4bit") || bb_json_has(q, "load_in_8bit");

    return bb_json_text_or(q, "quant_method", is_bnb ? "bitsandbytes"
                                            : bb_json_has(q, "config_groups") ? "compressed-tensors"
                                                                              : "unknown");
}

/* Whether it is our own way to store matrices (bb_need), as bamba_quantize writes it: which tensors
   are quantized, and how, their names say. */
static bool is_own(const bb_json *q) { return strcmp(method_of(q), "bamba") == 0; }

static void check_own(const bb_json *q)
{
    const int version = bb_json_int(q, "version", 0, INT_MAX);

    if (version != 1)
        bb_json_fail_key(q, "version", BAMBA_ERR_UNSUPPORTED,
                         "expected version 1, found %d: made by a later bamba", version);
}

/* NVIDIA's ModelOpt. Of its algorithms, float 8 with a scale a matrix. */
static void check_modelopt(const bb_json *q)
{
    const char *algorithm = bb_json_text_or(q, "quant_algo", "");

    if (strcmp(algorithm, "FP8") != 0)
        bb_json_fail_key(q, "quant_algo", BAMBA_ERR_UNSUPPORTED, "expected 'FP8', found '%.40s'",
                         algorithm);
}

bool bb_quantization_is_read(const bb_json *config)
{
    const bb_json q = find_config(config);

    if (!bb_json_is_object(&q) || bb_json_members(&q) == 0) return true;
    const char *method = method_of(&q);
    if (is_own(&q)) return check_own(&q), true;
    if (strcmp(method, "compressed-tensors") == 0 || strcmp(method, "fp8") == 0) return true;
    if (strcmp(method, MODELOPT) == 0) return check_modelopt(&q), true;
    bb_json_fail(&q, BAMBA_ERR_UNSUPPORTED, "quant_method is '%.40s': checkpoints quantized "
                 "by this method are not read", method);
    return false;
}

static bool is_one_of(const char *text, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(text, *list) == 0) return true;
    return false;
}

/* Refuse formats of files that are not read. */
static void check_format(const bb_json *q)
{
    static const char *const known[] = { "float-quantized", "naive-quantized", "int-quantized",
                                         "pack-quantized", "mixed-precision", NULL };
    const char *format = bb_json_text_or(q, "format", known[0]);

    if (!is_one_of(format, known))
        bb_json_fail_key(q, "format", BAMBA_ERR_UNSUPPORTED, "expected float-, naive-, int- or "
                         "pack-quantized or mixed-precision, found '%.40s'", format);
}

/* Refuse a part of the configuration whose work would not be done. */
static void expect_nothing(const bb_json *q, const char *key)
{
    const bb_json part = bb_json_get(q, key);
    const char   *format = bb_json_is_object(&part) ? bb_json_text_or(&part, "format", "") : "";

    if (!bb_json_has(q, key) || strcmp(format, "dense") == 0) return;
    if (bb_json_is_object(&part) && bb_json_members(&part) == 0) return;
    if (bb_json_is_object(&part)) {       /* transforms of no group */
        const bb_json groups = bb_json_get(&part, "config_groups");
        if (bb_json_is_object(&groups) && bb_json_members(&groups) == 0) return;
    }
    bb_json_fail_key(q, key, BAMBA_ERR_UNSUPPORTED, "expected nothing: weights that are sparse or "
                     "transformed are not read");
}

/* -------------------------------------------------------------- schemes ------------------ */

static bb_strategy read_strategy(const bb_json *w, const char *text, int group)
{
    static const char *const name[] = { "", "tensor", "channel", "group", "block" };

    for (int i = BB_STRATEGY_TENSOR; i <= BB_STRATEGY_BLOCK; i++)
        if (strcmp(text, name[i]) == 0) return (bb_strategy)i;
    if (text[0])
        bb_json_fail_key(w, "strategy", BAMBA_ERR_UNSUPPORTED, "expected tensor, channel, group or "
                         "block, found '%.40s'", text);
    return group > 0 ? BB_STRATEGY_GROUP : group == -1 ? BB_STRATEGY_CHANNEL : BB_STRATEGY_TENSOR;
}

static void read_block(const bb_json *q, const char *key, bb_scheme *s)
{
    const bb_json block = bb_json_get(q, key);
    int          *size[] = { &s->block_rows, &s->block_cols };

    if (bb_json_length(&block) != 2) {
        bb_json_fail_key(q, key, BAMBA_ERR_FORMAT, "expected two sizes, found %zu",
                         bb_json_length(&block));
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        const bb_json element = bb_json_at(&block, i);
        const int64_t n = bb_json_value_int(&element);
        if (n < 1 || n > INT_MAX)
            bb_json_fail(&element, BAMBA_ERR_FORMAT, "expected a size of at least 1, found %lld",
                         (long long)n);
        *size[i] = (int)n;
    }
}

static void read_weights(const bb_json *w, bb_scheme *s)
{
    static const char *const orders[] = { "weight", "static", "", NULL };
    const bb_json order = bb_json_get(w, "actorder");
    const char   *type = bb_json_text_or(w, "type", "int");

    s->bits = bb_json_int_or(w, "num_bits", 1, 32, 8);
    s->is_float = strcmp(type, "float") == 0;
    s->has_zero = !bb_json_bool_or(w, "symmetric", true);
    s->group = bb_json_int_or(w, "group_size", -1, INT_MAX, 0);
    s->strategy = read_strategy(w, bb_json_text_or(w, "strategy", ""), s->group);
    if (s->strategy == BB_STRATEGY_GROUP && s->group < 1)
        bb_json_fail_key(w, "group_size", BAMBA_ERR_FORMAT, "expected at least 1, found %d",
                         s->group);
    if (s->strategy == BB_STRATEGY_BLOCK) read_block(w, "block_structure", s);
    if (s->is_float ? s->bits != 8 : (s->bits != 4 && s->bits != 8) || strcmp(type, "int") != 0)
        bb_json_fail_key(w, "num_bits", BAMBA_ERR_UNSUPPORTED, "expected 8 or 4 bits of type "
                         "'int' or 8 of type 'float', found %d of '%.40s'", s->bits, type);
    if (bb_json_is_text(&order) && !is_one_of(bb_json_value_text(&order, NULL), orders))
        bb_json_fail_key(w, "actorder", BAMBA_ERR_UNSUPPORTED, "expected 'weight', found '%.40s': "
                         "groups in the order of activations are not read",
                         bb_json_value_text(&order, NULL));
}

/* -------------------------------------------------------------- targets ------------------ */

static bb_status add_target(bb_quantization *q, const char *text, int group, bamba_error *err)
{
    target      *t = &q->target[q->n_targets++];
    const size_t n = strlen(text);

    t->group = group;
    if (strncmp(text, "re:", 3) == 0)
        return bb_regex_compile(&t->regex, &q->alloc, text + 3, n - 3, false, err);
    t->name = bb_new(&q->alloc, n + 1, 1);
    if (!t->name) return bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", CONFIG);
    memcpy(t->name, text, n + 1);
    return BAMBA_OK;
}

static bb_status add_targets(bb_quantization *q, const bb_json *list, int group, bamba_error *err)
{
    for (size_t i = 0; i < bb_json_length(list); i++) {
        bamba_error     why = { BAMBA_OK, "" };
        const bb_json   text = bb_json_at(list, i);
        const bb_status status = add_target(q, bb_json_value_text(&text, NULL), group, &why);
        if (status == BAMBA_ERR_MEMORY) return bb_fail(err, status, "%s", why.message);
        if (status != BAMBA_OK) bb_json_fail(&text, status, "%s", why.message);
    }
    return BAMBA_OK;
}

/* -------------------------------------------------------------- reading ------------------ */

static bb_status read_group(bb_quantization *q, const bb_json *group, bamba_error *err)
{
    const int     number = (int)q->n_schemes++;
    const bb_json weights = bb_json_get(group, "weights");
    const bb_json targets = bb_json_get(group, "targets");

    check_format(group);
    if (bb_json_is_object(&weights)) read_weights(&weights, &q->scheme[number]);
    if (!bb_json_is_object(&weights)) return BAMBA_OK;        /* of activations alone */
    return add_targets(q, &targets, number, err);
}

static bb_status read_groups(bb_quantization *q, const bb_json *config, bamba_error *err)
{
    const bb_json groups = bb_json_get(config, "config_groups");
    const bb_json ignore = bb_json_get(config, "ignore");
    bb_json_walk  walk = { 0 };
    bb_json       group;
    size_t        n = bb_json_length(&ignore);
    bb_status     status = BAMBA_OK;

    while (bb_json_next(&groups, &walk, &group)) {
        const bb_json targets = bb_json_get(&group, "targets");
        n += bb_json_length(&targets);
    }
    q->scheme = bb_new(&q->alloc, bb_json_members(&groups) + 1, sizeof *q->scheme);
    q->target = bb_new(&q->alloc, n + 1, sizeof *q->target);
    if (!q->scheme || !q->target)
        return bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", CONFIG);
    for (walk = (bb_json_walk){ 0 }; status == BAMBA_OK && bb_json_next(&groups, &walk, &group);)
        status = read_group(q, &group, err);
    if (status == BAMBA_OK) status = add_targets(q, &ignore, -1, err);
    return status;
}

/* All modules of transformers' fp8, and of ModelOpt's, have one scheme; the tensors say which have
   it. Without "weight_block_size" transformers assumes blocks of 128 x 128, but files of AutoFP8,
   which have one scale a matrix, call themselves fp8 as well: the tensors say that too. */
static bb_status read_fp8(bb_quantization *q, const bb_json *config, bamba_error *err)
{
    const bool  is_modelopt = strcmp(method_of(config), MODELOPT) == 0;
    const char *format = bb_json_text_or(config, "fmt", "e4m3");

    q->scheme = bb_new(&q->alloc, 1, sizeof *q->scheme);
    q->target = bb_new(&q->alloc, 1, sizeof *q->target);
    if (!q->scheme || !q->target)
        return bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", CONFIG);
    q->n_schemes = 1;
    *q->scheme = (bb_scheme){ BB_STRATEGY_ANY, 8, true, false, 0, 128, 128 };
    if (strcmp(format, "e4m3") != 0)
        bb_json_fail_key(config, "fmt", BAMBA_ERR_UNSUPPORTED, "expected 'e4m3', found '%.40s'",
                         format);
    if (bb_json_has(config, "weight_block_size")) {
        q->scheme->strategy = BB_STRATEGY_BLOCK;
        read_block(config, "weight_block_size", q->scheme);
    } else if (bb_json_is_member(config, "weight_block_size") || is_modelopt) {
        q->scheme->strategy = BB_STRATEGY_TENSOR;
    }
    return add_target(q, "Linear", 0, err);
}

static void check_compressed(const bb_json *config)
{
    static const char *const known[] = { "compressed", "frozen", NULL };  /* frozen: of old files */
    const char *status = bb_json_text_or(config, "quantization_status", known[0]);

    check_format(config);
    if (!is_one_of(status, known))
        bb_json_fail_key(config, "quantization_status", BAMBA_ERR_UNSUPPORTED,
                         "expected 'compressed' or 'frozen', found '%.40s'", status);
    expect_nothing(config, "sparsity_config");
    expect_nothing(config, "transform_config");
}

bb_status bb_quantization_read(bb_quantization **out, const bb_allocator *a, const bb_json *config,
                               bamba_error *err)
{
    const bb_json    json = find_config(config);
    bb_status        status = BAMBA_OK;
    bb_quantization *q = NULL;

    *out = NULL;
    if (!bb_json_is_object(&json) || bb_json_members(&json) == 0 || is_own(&json)) return BAMBA_OK;
    q = bb_new(a, 1, sizeof *q);
    if (!q) return bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", CONFIG);
    q->alloc = *a;
    BB_TRY(bb_matcher_create(&q->matcher, a, err));
    if (strcmp(method_of(&json), "compressed-tensors") != 0) {
        BB_TRY(read_fp8(q, &json, err));
    } else {
        check_compressed(&json);
        BB_TRY(read_groups(q, &json, err));
    }
    *out = q;
    q = NULL;
done:
    bb_quantization_free(q);
    return status;
}

void bb_quantization_free(bb_quantization *q)
{
    if (!q) return;
    const bb_allocator a = q->alloc;
    for (size_t i = 0; i < q->n_targets; i++) {
        bb_regex_free(q->target[i].regex);
        bb_release(&a, q->target[i].name);
    }
    bb_matcher_free(q->matcher);
    bb_release(&a, q->target);
    bb_release(&a, q->scheme);
    bb_release(&a, q);
}

/* -------------------------------------------------------------- asking ------------------- */

/* Whether the class of a module, a linear map or an embedding, has that name. */
static bool is_class(const char *name, const char *module)
{
    const char *dot = strrchr(module, '.');
    const bool  is_embedding = strncmp(dot ? dot + 1 : module, "embed", 5) == 0;

    return strcmp(name, is_embedding ? "Embedding" : "Linear") == 0;
}

/* How a target names a module: 0 not at all, 1 by its class, 2 by an expression, 3 by its name. */
static int match(const bb_quantization *q, const target *t, const char *module)
{
    const size_t n = strlen(module);
    bool         found = false;

    if (t->name) return strcmp(t->name, module) == 0 ? 3 : is_class(t->name, module);
    bb_scan scan = bb_scan_begin(t->regex, q->matcher, module, n);
    bb_matcher_begin(q->matcher, n, NULL, NULL);
    return bb_scan_next(&scan, &found, NULL) == BAMBA_OK && found && scan.start == 0 ? 2 : 0;
}

const bb_scheme *bb_quantization_scheme(const void *context, const char *module)
{
    const bb_quantization *q = context;
    const bb_scheme       *best = NULL;
    int                    most = 0;

    for (size_t i = 0; q && i < q->n_targets; i++) {
        const target *t = &q->target[i];
        const int     how = match(q, t, module);
        if (how > 0 && t->group < 0) return NULL;
        if (how <= most) continue;
        most = how;
        best = &q->scheme[t->group];
    }
    return best;
}

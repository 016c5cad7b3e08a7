/* adapter_config.c - adapter_config.json of a PEFT directory. */
#include "adapter_config.h"

#include "base/file.h"
#include "base/json.h"
#include "text/regex.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct pattern {
    bb_regex   *regex;                    /* of module paths */
    const char *key;                      /* of the file, that has the expression */
    double      value;
} pattern;

typedef struct patterns {                 /* the first that matches holds */
    pattern *at;                          /* [n] */
    size_t   n;
} patterns;

struct bb_adapter_config {
    bb_allocator a;
    bb_json_doc *doc;
    const char  *file;                    /* its name, for messages; the caller's path */
    bb_matcher  *matcher;
    int          rank;
    double       alpha;
    bool         by_root;                 /* rsLoRA: alpha / sqrt(r) */
    bool         has_bias;
    bool         ties;                    /* the head's term to the embedding's */
    patterns     ranks, alphas;
    patterns     targets;                 /* target_modules as one expression; none: a list */
    patterns     excluded;                /* exclude_modules likewise */
};

/* -------------------------------------------------------------- keys --------------------- */

/* Keys that change what an adapter computes, in ways that are not implemented. */
static const struct { const char *key, *what; } refused[] = {
    { "use_dora", "DoRA" },
    { "alora_invocation_tokens", "aLoRA" },
    { "use_qalora", "QALoRA" },
    { "use_bdlora", "BD-LoRA" },
    { "velora_config", "VeLoRA" },
    { "trainable_token_indices", "training of single tokens" },
    { "layer_replication", "replication of layers" },
    { "arrow_config", "routing between adapters" },
    { "monteclora_config", "MonteCLoRA" },
    { "megatron_config", "Megatron's layers" },
    { "kasa_config", "KaSA" },
};

/* Keys that are read here, or that concern training alone. */
static const char *const known[] = {
    "alpha_pattern", "auto_mapping", "base_model_name_or_path", "bias", "corda_config",
    "ensure_weight_tying", "eva_config", "exclude_modules", "fan_in_fan_out", "inference_mode",
    "init_lora_weights", "layers_pattern", "layers_to_transform", "loftq_config", "lora_alpha",
    "lora_bias", "lora_dropout", "lora_ga_config", "megatron_core", "modules_to_save", "peft_type",
    "peft_version", "qalora_group_size", "r", "rank_pattern", "revision", "runtime_config",
    "target_modules", "target_parameters", "task_type", "use_rslora",
};

/* Whether a value is another than null, false, 0, and what is empty. */
static bool says_something(const bb_json *v)
{
    size_t n = 0;

    if (!v->node) return false;
    if (bb_json_is_bool(v)) return bb_json_value_bool(v);
    if (bb_json_is_text(v)) return bb_json_value_text(v, &n), n > 0;
    if (bb_json_is_array(v)) return bb_json_length(v) > 0;
    if (bb_json_is_object(v)) return bb_json_members(v) > 0;
    return bb_json_value_float(v) != 0.0;
}

static const char *refusal_of(const char *key)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (strcmp(refused[i].key, key) == 0) return refused[i].what;
    return NULL;
}

static bool is_known(const char *key)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], key) == 0) return true;
    return false;
}

/* Refuse keys that say something that is not done. */
static void check_keys(const bb_json *root)
{
    bb_json_walk walk = { 0 };
    bb_json      v;

    while (bb_json_next(root, &walk, &v)) {
        const char *what = refusal_of(v.key);
        if (is_known(v.key) || !says_something(&v)) continue;
        if (what)
            bb_json_fail(&v, BAMBA_ERR_UNSUPPORTED, "%s is not supported", what);
        else
            bb_json_fail(&v, BAMBA_ERR_UNSUPPORTED, "this key is not known to this version, "
                         "and may change what the adapter computes");
    }
}

/* Initial values that are taken out of the model's own weights, which then are others. */
static void check_initial(const bb_json *root)
{
    const bb_json v = bb_json_get(root, "init_lora_weights");
    const char   *harmless[] = { "gaussian", "eva", "orthogonal" };

    if (!v.node || bb_json_is_bool(&v)) return;
    const char *name = bb_json_value_text(&v, NULL);
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (strcmp(name, harmless[i]) == 0) return;
    bb_json_fail(&v, BAMBA_ERR_UNSUPPORTED, "'%.40s' changes the model's own weights: expected an "
                 "adapter that PEFT has converted (path_initial_model_for_weight_conversion)",
                 name);
}

static void check_bias(const bb_json *root)
{
    const char *bias = bb_json_text_or(root, "bias", "none");

    if (strcmp(bias, "none") != 0 && strcmp(bias, "all") != 0 && strcmp(bias, "lora_only") != 0)
        bb_json_fail_key(root, "bias", BAMBA_ERR_FORMAT, "expected none, all or lora_only, found "
                         "'%.40s'", bias);
}

static double read_alpha(const bb_json *v)
{
    const double alpha = bb_json_value_float(v);

    if (!isfinite(alpha) || fabs(alpha) > 1e30) {
        bb_json_fail(v, BAMBA_ERR_FORMAT, "expected a number, found %g", alpha);
        return 0.0;
    }
    return alpha;
}

/* Lists of texts, or, if `or_text`, one text; null and absent are none. */
static void check_texts(const bb_json *root, const char *key, bool or_text)
{
    const bb_json list = bb_json_get(root, key);

    if (!list.node || (or_text && bb_json_is_text(&list))) return;
    if (!bb_json_is_array(&list)) {
        bb_json_fail(&list, BAMBA_ERR_FORMAT, "expected a list of texts%s",
                     or_text ? " or a text" : "");
        return;
    }
    for (size_t i = 0; i < bb_json_length(&list); i++) {
        const bb_json e = bb_json_at(&list, i);
        bb_json_value_text(&e, NULL);
    }
}

static void check_layers(const bb_json *root)
{
    const bb_json list = bb_json_get(root, "layers_to_transform");

    check_texts(root, "layers_pattern", true);
    if (!list.node) return;
    if (!bb_json_is_array(&list)) {
        bb_json_value_int(&list);
        return;
    }
    for (size_t i = 0; i < bb_json_length(&list); i++) {
        const bb_json e = bb_json_at(&list, i);
        bb_json_value_int(&e);
    }
}

static void read_keys(bb_adapter_config *c, const bb_json *root, const bb_log *log)
{
    const char *type = bb_json_text(root, "peft_type");
    const bb_json alpha = bb_json_get(root, "lora_alpha");

    if (strcmp(type, "LORA") != 0)
        bb_json_fail_key(root, "peft_type", BAMBA_ERR_UNSUPPORTED, "expected LORA, found '%.40s'",
                         type);
    check_keys(root);
    check_initial(root);
    check_bias(root);
    check_texts(root, "target_modules", true);
    check_texts(root, "exclude_modules", true);
    check_texts(root, "modules_to_save", false);
    check_texts(root, "target_parameters", false);
    check_layers(root);
    c->rank = bb_json_int_or(root, "r", 1, BB_MOST_RANK, 8);
    c->alpha = alpha.node ? read_alpha(&alpha) : 8.0;
    c->by_root = bb_json_bool_or(root, "use_rslora", false);
    c->has_bias = bb_json_bool_or(root, "lora_bias", false);
    if (bb_json_bool_or(root, "fan_in_fan_out", false))
        bb_log_line(log, "%s: 'fan_in_fan_out' does not hold for linear layers, as in PEFT",
                    c->file);
    c->ties = bb_json_bool_or(root, "ensure_weight_tying", false);
}

/* -------------------------------------------------------------- patterns ----------------- */

/* Compile an expression that whole paths, or their ends from a dot on, are to match. */
static bb_status compile(bb_adapter_config *c, pattern *p, const bb_json *at,
                         const char *expression, bool whole, bamba_error *err)
{
    const size_t n = strlen(expression) + 32;
    char        *text = bb_allocate(&c->a, n, 1);
    bamba_error  why = { BAMBA_OK, "" };

    if (!text) return bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", c->file);
    const int length = snprintf(text, n, whole ? "^(?:%s)$" : "^(?:.*\\.)?(?:%s)$", expression);
    const bb_status status = bb_regex_compile(&p->regex, &c->a, text, (size_t)length, false, &why);
    bb_release(&c->a, text);
    if (status == BAMBA_OK) return BAMBA_OK;
    bb_json_fail(at, status, "expression '%.60s': %s", expression, why.message);
    return bb_json_status(c->doc, err);
}

/* rank_pattern or alpha_pattern: an object of expressions. */
static bb_status read_patterns(bb_adapter_config *c, const bb_json *root, const char *key,
                               bool is_rank, patterns *p, bamba_error *err)
{
    const bb_json object = bb_json_get(root, key);
    bb_json_walk  walk = { 0 };
    bb_json       v;
    bb_status     status = BAMBA_OK;

    if (!object.node) return BAMBA_OK;
    if (!bb_json_is_object(&object))
        bb_json_fail(&object, BAMBA_ERR_FORMAT, "expected an object of numbers");
    BB_TRY(bb_json_status(c->doc, err));
    p->at = bb_new(&c->a, bb_json_members(&object) + 1, sizeof *p->at);
    if (!p->at) return bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", c->file);
    while (bb_json_next(&object, &walk, &v)) {
        if (is_rank) {
            const int64_t r = bb_json_value_int(&v);
            if (r < 1 || r > BB_MOST_RANK)
                bb_json_fail(&v, BAMBA_ERR_FORMAT, "expected a rank from 1 to %d, found %lld",
                             BB_MOST_RANK, (long long)r);
            p->at[p->n].value = (double)r;
        } else p->at[p->n].value = read_alpha(&v);
        BB_TRY(bb_json_status(c->doc, err));
        p->at[p->n].key = key;
        BB_TRY(compile(c, &p->at[p->n], &v, v.key, false, err));
        p->n++;
    }
done:
    return status;
}

static bb_status match(const bb_adapter_config *c, const pattern *p, const char *module,
                       bool *found, bamba_error *err)
{
    const size_t n = strlen(module);
    bb_scan      scan = bb_scan_begin(p->regex, c->matcher, module, n);
    bamba_error  why = { BAMBA_OK, "" };

    bb_matcher_begin(c->matcher, n, NULL, NULL);
    const bb_status status = bb_scan_next(&scan, found, &why);
    if (status == BAMBA_ERR_UNSUPPORTED)  /* its message speaks of tokenizer.json */
        return bb_fail(err, status, "%s: '%s': an expression takes too many steps on '%.100s'",
                       c->file, p->key, module);
    return status == BAMBA_OK ? status : bb_fail(err, status, "%s: '%.100s': %s", c->file, module,
                                                 why.message);
}

/* The value of the first pattern that matches; *value stays if none does. */
static bb_status apply(const bb_adapter_config *c, const patterns *p, const char *module,
                       double *value, bamba_error *err)
{
    for (size_t i = 0; i < p->n; i++) {
        bool            found = false;
        const bb_status status = match(c, &p->at[i], module, &found, err);
        if (status != BAMBA_OK) return status;
        if (!found) continue;
        *value = p->at[i].value;
        break;
    }
    return BAMBA_OK;
}

/* -------------------------------------------------------------- modules ------------------ */

/* Whether a path is that name, or ends with it from a dot on. */
static bool ends_with(const char *module, const char *name)
{
    const size_t n = strlen(module), m = strlen(name);

    return n >= m && strcmp(module + n - m, name) == 0 && (n == m || module[n - m - 1] == '.');
}

static bool is_in_list(const bb_json *list, const char *module)
{
    for (size_t i = 0; i < bb_json_length(list); i++) {
        const bb_json e = bb_json_at(list, i);
        if (ends_with(module, bb_json_value_text(&e, NULL))) return true;
    }
    return false;
}

/* Whether `names` (NULL: any) names a path's component [n]. */
static bool is_named(const bb_json *names, const char *component, size_t n)
{
    char name[64] = "";

    if (!names) return true;
    snprintf(name, sizeof name, "%.*s", n < sizeof name ? (int)n : 0, component);
    return bb_json_is_array(names) ? is_in_list(names, name)
                                     : strcmp(bb_json_value_text(names, NULL), name) == 0;
}

/* The number of the layer that a module's path names, which layers_to_transform is compared with:
   the first component that is a number, or the last one if is_last. `names`: only a number right
   behind a component that it names counts; NULL: any. -1: there is none. */
static long layer_of(const char *module, const bb_json *names, bool is_last)
{
    long        layer = -1;
    const char *before = module;

    for (const char *dot; (is_last || layer < 0) && (dot = strchr(before, '.')); before = dot + 1) {
        char      *end;
        const long number = strtol(dot + 1, &end, 10);
        if (end > dot + 1 && *end == '.' && is_named(names, before, (size_t)(dot - before)))
            layer = number;
    }
    return layer;
}

static bool is_number_chosen(const bb_json *list, long layer)
{
    if (!bb_json_is_array(list)) return bb_json_value_int(list) == layer;
    for (size_t i = 0; i < bb_json_length(list); i++) {
        const bb_json e = bb_json_at(list, i);
        if (bb_json_value_int(&e) == layer) return true;
    }
    return bb_json_length(list) == 0;
}

/* Whether layers_to_transform has the module's layer, which PEFT takes from the first number of a
   path ("layers.3.….list.2.0": 3) and older versions from the last one that a dot follows (2).
   in_any_version: either may be in the list. */
static bool is_layer_chosen(const bb_json *root, const char *module, bool in_any_version)
{
    const bb_json  list = bb_json_get(root, "layers_to_transform");
    const bb_json  names = bb_json_get(root, "layers_pattern");
    const bb_json *behind = says_something(&names) ? &names : NULL;

    return !list.node || is_number_chosen(&list, layer_of(module, behind, false))
        || (in_any_version && is_number_chosen(&list, layer_of(module, behind, true)));
}

/* Whether `v`, a list of names or the expression that p has, names the module. */
static bb_status find_named(const bb_adapter_config *c, const bb_json *v, const patterns *p,
                            const char *module, bool *found, bamba_error *err)
{
    *found = bb_json_is_array(v) && is_in_list(v, module);
    return p->n > 0 ? match(c, &p->at[0], module, found, err) : BAMBA_OK;
}

static bb_status find_target(const bb_adapter_config *c, const bb_json *root, const char *module,
                             bool is_head, bool *found, bamba_error *err)
{
    const bb_json target = bb_json_get(root, "target_modules");

    *found = !target.node || !is_head;
    if (!target.node || (bb_json_is_text(&target) && c->targets.n == 0))          /* all-linear */
        return BAMBA_OK;
    return find_named(c, &target, &c->targets, module, found, err);
}

/* Rank and scale of a module or parameter, by the patterns. */
static bb_status find_scale(const bb_adapter_config *c, const char *path, bb_adapter_terms *terms,
                            bamba_error *err)
{
    bb_status status = BAMBA_OK;
    double    rank = c->rank, alpha = c->alpha;

    BB_TRY(apply(c, &c->ranks, path, &rank, err));
    BB_TRY(apply(c, &c->alphas, path, &alpha, err));
    terms->rank = (int)rank;
    terms->scale = alpha / (c->by_root ? sqrt(rank) : rank);
done:
    return status;
}

bool bb_adapter_config_has_parameter(const bb_adapter_config *c, const char *parameter)
{
    const bb_json root = bb_json_root(c->doc);
    const bb_json list = bb_json_get(&root, "target_parameters");

    return is_in_list(&list, parameter);
}

bb_status bb_adapter_config_parameter(const bb_adapter_config *c, const char *parameter,
                                      bb_adapter_terms *terms, bamba_error *err)
{
    terms->has_other_rank = false;
    return find_scale(c, parameter, terms, err);
}

bb_status bb_adapter_config_terms(const bb_adapter_config *c, const char *module, bool is_head,
                                  bb_adapter_terms *terms, bamba_error *err)
{
    const bb_json root = bb_json_root(c->doc);
    bb_status     status = BAMBA_OK;
    bool          found = false;

    terms->has_other_rank = is_head && c->ties;
    BB_TRY(find_target(c, &root, module, is_head, &found, err));
    if (!found && !terms->has_other_rank)
        return bb_fail(err, BAMBA_ERR_FORMAT, "%s: 'target_modules': expected '%.100s' among them, "
                       "which has tensors", c->file, module);
    if (!is_layer_chosen(&root, module, true))
        return bb_fail(err, BAMBA_ERR_FORMAT, "%s: 'layers_to_transform': expected the layer of "
                       "'%.100s', which has tensors", c->file, module);
    status = find_scale(c, module, terms, err);
done:
    return status;
}

bb_status bb_adapter_config_adapts(const bb_adapter_config *c, const char *module, bool *adapts,
                                   bamba_error *err)
{
    const bb_json root = bb_json_root(c->doc);
    const bb_json target = bb_json_get(&root, "target_modules");
    const bb_json without = bb_json_get(&root, "exclude_modules");
    bb_status     status = BAMBA_OK;
    bool          is_excluded;

    *adapts = false;
    BB_TRY(find_named(c, &without, &c->excluded, module, &is_excluded, err));
    if (!target.node || is_excluded || !is_layer_chosen(&root, module, false)) return BAMBA_OK;
    status = find_target(c, &root, module, false, adapts, err);
done:
    return status;
}

bool bb_adapter_is_within(const char *path, const char *name)
{
    const size_t n = strlen(name);

    for (const char *at = path; n > 0 && (at = strstr(at, name)); at++)
        if (at[n] == '.' || at[n] == '\0') return true;
    return false;
}

const char *bb_adapter_config_saved(const bb_adapter_config *c, size_t i)
{
    const bb_json root = bb_json_root(c->doc);
    const bb_json list = bb_json_get(&root, "modules_to_save");
    const bb_json e = bb_json_at(&list, i);

    return i < bb_json_length(&list) ? bb_json_value_text(&e, NULL) : NULL;
}

bool bb_adapter_config_saves(const bb_adapter_config *c, const char *module)
{
    const char *name;

    for (size_t i = 0; (name = bb_adapter_config_saved(c, i)); i++)
        if (bb_adapter_is_within(module, name)) return true;
    return false;
}

const char *bb_adapter_config_version(const bb_adapter_config *c)
{
    const bb_json root = bb_json_root(c->doc);
    const bb_json v = bb_json_get(&root, "peft_version");

    return v.node && bb_json_is_text(&v) ? bb_json_value_text(&v, NULL) : "";
}

bool bb_adapter_config_has_bias(const bb_adapter_config *c) { return c->has_bias; }

/* -------------------------------------------------------------- open --------------------- */

/* target_modules or exclude_modules, where it is one expression. */
static bb_status read_modules(bb_adapter_config *c, const bb_json *root, const char *key,
                              patterns *p, bamba_error *err)
{
    const bb_json v = bb_json_get(root, key);

    if (!bb_json_is_text(&v)) return BAMBA_OK;
    const char *text = bb_json_value_text(&v, NULL);
    if (strcmp(text, "all-linear") == 0) return BAMBA_OK;
    p->at = bb_new(&c->a, 1, sizeof *p->at);
    if (!p->at) return bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", c->file);
    p->n = 1;
    p->at->key = key;
    return compile(c, p->at, &v, text, true, err);
}

bb_status bb_adapter_config_open(bb_adapter_config **out, const bb_allocator *a, const char *path,
                                 const bb_log *log, bamba_error *err)
{
    bb_status          status = BAMBA_OK;
    bb_adapter_config *c = bb_new(a, 1, sizeof *c);

    *out = NULL;
    if (!c) return bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", bb_path_name(path));
    c->a = *a;
    c->file = "adapter_config.json";
    BB_TRY(bb_json_open(&c->doc, a, path, BB_JSON_INFINITY, err));
    const bb_json root = bb_json_root(c->doc);
    if (!bb_json_is_object(&root)) bb_json_fail(&root, BAMBA_ERR_FORMAT, "expected an object");
    BB_TRY(bb_json_status(c->doc, err));
    read_keys(c, &root, log);
    BB_TRY(bb_json_status(c->doc, err));
    BB_TRY(bb_matcher_create(&c->matcher, a, err));
    BB_TRY(read_patterns(c, &root, "rank_pattern", true, &c->ranks, err));
    BB_TRY(read_patterns(c, &root, "alpha_pattern", false, &c->alphas, err));
    BB_TRY(read_modules(c, &root, "target_modules", &c->targets, err));
    BB_TRY(read_modules(c, &root, "exclude_modules", &c->excluded, err));
    *out = c;
    c = NULL;
done:
    bb_adapter_config_close(c);
    return status;
}

static void release_patterns(const bb_allocator *a, patterns *p)
{
    for (size_t i = 0; i < p->n; i++) bb_regex_free(p->at[i].regex);
    bb_release(a, p->at);
}

void bb_adapter_config_close(bb_adapter_config *c)
{
    if (!c) return;
    const bb_allocator a = c->a;
    release_patterns(&a, &c->ranks);
    release_patterns(&a, &c->alphas);
    release_patterns(&a, &c->targets);
    release_patterns(&a, &c->excluded);
    if (c->matcher) bb_matcher_free(c->matcher);
    bb_json_close(c->doc);
    bb_release(&a, c);
}

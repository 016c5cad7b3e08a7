/* sampling_set.c - options of a sampler by name, while a conversation goes on. */
#include "sampling.h"

#include <string.h>

typedef enum kind { FLOAT, INT, SEED } kind;

static const struct option {
    const char *name;
    kind        kind;
    size_t      offset;
    double      least;                    /* of the command line, where a sampler takes less */
} options[] = {
#define ROW(name, kind, member) ROW_FROM(-INFINITY, name, kind, member)
#define ROW_FROM(least, name, kind, member)                                                       \
    { name, kind, offsetof(bamba_sampler_options, member), least }
    ROW("dry-allowed-length", INT, dry_allowed_length),
    ROW_FROM(1, "dry-base", FLOAT, dry_base),
    ROW("dry-multiplier", FLOAT, dry_multiplier),
    ROW("dry-penalty-last-n", INT, dry_penalty_last_n),
    ROW("frequency-penalty", FLOAT, frequency_penalty),
    ROW("min-p", FLOAT, min_p),
    ROW("presence-penalty", FLOAT, presence_penalty),
    ROW("repeat-last-n", INT, penalty_last_n),
    ROW("repeat-penalty", FLOAT, repetition_penalty),
    ROW("seed", SEED, seed),
    ROW("temp", FLOAT, temperature),
    ROW("temperature", FLOAT, temperature),
    ROW_FROM(-1, "top-k", INT, top_k),
    ROW("top-n-sigma", FLOAT, top_n_sigma),
    ROW("top-nsigma", FLOAT, top_n_sigma),
    ROW("top-p", FLOAT, top_p),
    ROW("typical", FLOAT, typical_p),
    ROW("typical-p", FLOAT, typical_p),
    ROW("xtc-probability", FLOAT, xtc_probability),
    ROW("xtc-threshold", FLOAT, xtc_threshold),
};

/* '_' may stand for '-'. */
static bool is_name(const char *text, const char *name)
{
    for (; *text && (*text == '_' ? '-' : *text) == *name; text++) name++;
    return *text == '\0' && *name == '\0';
}

/* NULL: there is no such option. */
static const struct option *find(const char *name)
{
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (is_name(name, options[i].name)) return &options[i];
    return NULL;
}

bool sampling_has(const char *name) { return find(name) != NULL; }

bool sampling_set(sampling *c, const char *name, const char *value)
{
    const struct option *o = find(name);
    double number;
    int64_t whole = 0;

    if (!o || !args_parse_float(value, &number) || number < o->least) return false;
    if (o->kind != FLOAT && !args_parse_int(value, &whole)) return false;

    char *member = (char *)&c->options + o->offset;
    const float real = (float)number;
    const int   count = (int)whole;
    const uint64_t seed = (uint64_t)whole;
    switch (o->kind) {
    case FLOAT: memcpy(member, &real, sizeof real); break;
    case INT:
        if (whole < INT_MIN || whole > INT_MAX) return false;
        memcpy(member, &count, sizeof count);
        break;
    case SEED:
        if (whole < 0) return false;
        memcpy(member, &seed, sizeof seed);
        break;
    }
    return true;
}

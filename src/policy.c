/* policy.c - which format each matrix of a model gets. */
#include "policy.h"

#include "text/regex.h"

#include <string.h>

typedef struct bb_rule {
    bb_regex *regex;
    bb_type   type;
} bb_rule;

/* What Q4 spares, since it costs more there than it saves (docs/quantization.md): the embedding and
   the head, and the projections with these names, which are the last thing before the stream. */
static const char *const tender[] = { "out_proj", "v_proj", "o_proj", NULL };

static bool is_tender(bb_role role, const char *name)
{
    if (role != BB_ROLE_PROJECTION) return true;
    for (const char *const *t = tender; *t; t++)
        if (strstr(name, *t)) return true;
    return false;
}

bb_status bb_policy_init(bb_policy *p, const bb_allocator *a, const bb_kernels *k, bb_type type,
                         const bamba_type_rule *rules, size_t n, bamba_error *err)
{
    bb_status status = BAMBA_OK;

    *p = (bb_policy){ .k = k, .type = type, .alloc = *a };
    if (n == 0) return BAMBA_OK;
    p->rule = bb_new(a, n, sizeof *p->rule);
    if (!p->rule) return bb_fail(err, BAMBA_ERR_MEMORY, "type rules: out of memory");
    BB_TRY(bb_matcher_create(&p->matcher, a, err));
    for (size_t i = 0; i < n; i++) {
        const char *pattern = rules[i].pattern;
        if (!pattern || !bb_format_of(k, (bb_type)rules[i].type)
            || !bb_format_of(k, (bb_type)rules[i].type)->encode)
            return bb_fail(err, BAMBA_ERR_ARGUMENT, "type rule %zu: expected a pattern and a type that "
                           "weights can be converted to, found type %d", i, (int)rules[i].type);
        p->rule[i].type = (bb_type)rules[i].type;
        bamba_error why = { BAMBA_OK, "" };
        status = bb_regex_compile(&p->rule[i].regex, a, pattern, strlen(pattern), false, &why);
        if (status != BAMBA_OK)
            return bb_fail(err, status, "type rule '%.100s': %s", pattern, why.message);
        p->n = i + 1;
    }
done:
    return status;
}

void bb_policy_free(bb_policy *p)
{
    for (size_t i = 0; i < p->n; i++) bb_regex_free(p->rule[i].regex);
    if (p->rule) bb_release(&p->alloc, p->rule);
    if (p->matcher) bb_matcher_free(p->matcher);
    *p = (bb_policy){ .k = p->k };
}

/* Whether a rule's expression is found in a name. One that takes too long is not. */
static bool is_match(const bb_policy *p, const bb_rule *r, const char *name)
{
    const size_t n = strlen(name);
    bb_scan      scan = bb_scan_begin(r->regex, p->matcher, name, n);
    bool         found = false;

    bb_matcher_begin(p->matcher, n, NULL, NULL);
    return bb_scan_next(&scan, &found, NULL) == BAMBA_OK && found;
}

const bb_format *bb_policy_choose(const void *context, bb_role role, const char *name, int rows,
                                  int cols, const bb_format *stored)
{
    const bb_policy *p = context;
    bb_type          type = p->type;

    (void)rows, (void)cols;
    if (type == BB_TYPE_Q4 && is_tender(role, name)) type = BB_TYPE_Q8;
    for (size_t i = p->n; i-- > 0;)
        if (is_match(p, &p->rule[i], name)) {
            type = p->rule[i].type;
            break;
        }
    if (type == BB_TYPE_Q8 && role != BB_ROLE_PROJECTION) return &p->k->format[BB_FORMAT_Q8_FINE];
    return type == BB_TYPE_NONE ? stored : bb_format_of(p->k, type);
}

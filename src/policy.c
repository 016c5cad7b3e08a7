/* policy.c - which format each matrix of a model gets. */
#include "policy.h"

#include "text/regex.h"

#include <string.h>

typedef struct bb_rule {
    bb_regex   *regex;
    const char *pattern;                  /* the caller's, as long as this asks */
    bb_type     type;
    bool        is_met;                   /* it has matched the name of a matrix */
} bb_rule;

/* ------------------------------------------------------------- the mix behind Q4 -------- */

/* Which layers of n; ATTENTION: the attention of any. */
typedef enum where { ALL, ATTENTION, FIRST, LAST, SPREAD } where;

/* The projections that Q4 keeps in Q8, beside the embedding and the head, by a part of their names:
   those that lower the divergence most for the bits they take, on a trained hybrid and on a trained
   transformer (docs/quantization.md). */
static const struct { const char *part; where where; bool hybrid, transformer; } tender[] = {
    { "out_proj.",  ALL,    true,  false },
    { "v_proj.",    ALL,    true,  true  },
    { "k_proj.",    ALL,    true,  true  },
    { "in_proj.",   ATTENTION, true, true },          /* mamba_ssm: keys, values and others */
    { "in_proj.",   FIRST,  true,  false },
    { "_adapter_list.", ALL, true, false },           /* of Zamba2: little, and read at each use */
    { "_latent_proj.", ALL, true, true },             /* of Nemotron 3: little, for all experts */
    { ".linear.",   ALL,    true,  false },           /* of Zamba2: its shared blocks' out_proj */
    { "down_proj.", SPREAD, false, true  },
    { "output_linear.", SPREAD, false, true },        /* a down_proj of Granite's */
    { "fc2.",       SPREAD, false, true  },           /* a down_proj of mamba_ssm's */
    { "_proj.",     LAST,   false, true  },
    { "_linear.",   LAST,   false, true  },
    { "mlp.fc",     LAST,   false, true  },
};

/* The number behind "layers." in a name; -1 if there is none. */
static int layer_of(const char *name)
{
    const char *at = strstr(name, "layers.");
    int         n = 0;

    if (!at || at[7] < '0' || at[7] > '9') return -1;
    for (at += 7; *at >= '0' && *at <= '9' && n < 100000; at++) n = 10 * n + (*at - '0');
    return n;
}

static bool is_in_attention(const bb_graph *g, const char *name)
{
    for (size_t i = 0; i < g->n_mixers; i++) {
        const bb_mixer *m = g->mixer[i];
        if (strcmp(m->kind->name, "attention") == 0
            && strncmp(name, m->prefix, strlen(m->prefix)) == 0)
            return true;
    }
    return false;
}

/* LAST: a tenth of the layers. SPREAD: the first eighth, the last fifth, every third between. */
static bool is_there(const bb_policy *p, where w, const char *name)
{
    const int layer = layer_of(name), n = p->n_layers;

    switch (w) {
    case ATTENTION: return is_in_attention(p->graph, name);
    case FIRST:  return layer == 0;
    case LAST:   return layer >= n - (n < 10 ? 1 : n / 10);
    case SPREAD: return layer < n / 8 || layer >= n - n / 5 || (layer - n / 8) % 3 == 2;
    default:     return true;
    }
}

static bool is_tender(const bb_policy *p, bb_role role, const char *name)
{
    if (role != BB_ROLE_PROJECTION) return true;
    for (size_t i = 0; i < sizeof tender / sizeof *tender; i++)
        if ((p->is_hybrid ? tender[i].hybrid : tender[i].transformer)
            && strstr(name, tender[i].part) && is_there(p, tender[i].where, name))
            return true;
    return false;
}

/* ------------------------------------------------------------- the policy --------------- */

static bool has_states(const bb_graph *g)
{
    for (size_t i = 0; i < g->n_mixers; i++)
        if (g->mixer[i]->kind->state_bytes) return true;
    return false;
}

bb_status bb_policy_init(bb_policy *p, const bb_allocator *a, const bb_kernels *k,
                         const bb_graph *g, bb_type type, const bamba_type_rule *rules, size_t n,
                         bamba_error *err)
{
    bb_status status = BAMBA_OK;

    *p = (bb_policy){ .k = k, .type = type, .is_hybrid = has_states(g), .n_layers = g->n_layers,
                      .graph = g, .alloc = *a };
    if (n == 0) return BAMBA_OK;
    p->rule = bb_new(a, n, sizeof *p->rule);
    if (!p->rule) return bb_fail(err, BAMBA_ERR_MEMORY, "type rules: out of memory");
    BB_TRY(bb_matcher_create(&p->matcher, a, err));
    for (size_t i = 0; i < n; i++) {
        const char *pattern = rules[i].pattern;
        if (!pattern || !bb_format_of(k, (bb_type)rules[i].type)
            || !bb_format_of(k, (bb_type)rules[i].type)->encode)
            return bb_fail(err, BAMBA_ERR_ARGUMENT, "type rule %zu: expected a pattern and a "
                           "type that weights can be converted to, found type %d", i,
                           (int)rules[i].type);
        p->rule[i].type = (bb_type)rules[i].type;
        p->rule[i].pattern = pattern;
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

/* The last rule that matches a name; NULL: none does. Those that it overrides are marked as met
   too: they are not mistyped. */
static const bb_rule *find_last_match(const bb_policy *p, const char *name)
{
    const bb_rule *last = NULL;

    for (size_t i = p->n; i-- > 0;) {
        bb_rule *r = &p->rule[i];
        if ((last && r->is_met) || !is_match(p, r, name)) continue;
        r->is_met = true;
        if (!last) last = r;
    }
    return last;
}

bb_status bb_policy_check(const void *context, bamba_error *err)
{
    const bb_policy *p = context;

    for (int i = 0; i < BB_POLICY_ALSO; i++)
        if (p->also[i] && *p->also[i]) find_last_match(p, p->also[i]);
    for (size_t i = 0; i < p->n; i++)
        if (!p->rule[i].is_met)
            return bb_fail(err, BAMBA_ERR_ARGUMENT, "%.100s: type rule '%.100s': expected a match "
                           "in the name of a matrix, such as '%.100s', found none", p->where,
                           p->rule[i].pattern, p->graph->embed_name);
    return BAMBA_OK;
}

const bb_format *bb_policy_choose(const void *context, bb_role role, const char *name, int rows,
                                  int cols, const bb_format *stored)
{
    const bb_policy *p = context;
    bb_type          type = p->type;

    (void)rows, (void)cols;
    if (type == BB_TYPE_Q4 && is_tender(p, role, name)) type = BB_TYPE_Q8;
    const bb_rule *last = find_last_match(p, name);
    if (last) type = last->type;
    const bb_format *f = type == BB_TYPE_NONE ? stored : bb_format_of(p->k, type);
    return role != BB_ROLE_PROJECTION && f->type == BB_TYPE_Q8
        ? &p->k->format[BB_FORMAT_Q8_FINE] : f;
}

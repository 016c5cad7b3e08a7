/* facts.c - the plan of a network whose layers are a mixer and maybe an MLP. */
#include "arch/facts.h"

static double factor(double times) { return times != 0.0 ? times : 1.0; }

void bb_plan_front(const bb_facts *f, bb_plan *p)
{
    const bb_names *n = f->names;

    bb_plan_begin(p, f->d_model, f->n_vocab, f->epsilon);
    bb_plan_scales(p, factor(f->times.embed), factor(f->times.logits));
    bb_plan_padded(p, f->n_rows);
    bb_plan_base(p, n->base);
    if (n->base_alias) bb_plan_base_alias(p, n->base_alias);
    bb_plan_embed(p, n->embed);
    if (n->embed_alias) bb_plan_embed_alias(p, n->embed_alias);
}

void bb_plan_back(const bb_facts *f, bb_plan *p)
{
    const bb_names *n = f->names;

    bb_plan_head(p, n->norm, f->tied ? NULL : n->head);
    if (f->tied) bb_plan_tied_head(p, n->head, f->tie_key);
    bb_plan_leftovers(p, n->unused);
}

/* The block uses the mixer of layer l. */
static void use_mixer(const bb_facts *f, bb_plan *p, int l)
{
    const bb_names   *n = f->names;
    bb_attention_dims attention = f->attention;
    bb_mamba1_dims    mamba1 = f->mamba1;
    bb_mamba2_dims    mamba2 = f->mamba2;

    attention.d_model = mamba1.d_model = mamba2.d_model = f->d_model;
    if (f->is_attention[l])
        bb_plan_use(p, bb_plan_attention(p, n->attention, &attention), factor(f->times.attention));
    else if (n->mamba1) bb_plan_use(p, bb_plan_mamba1(p, n->mamba1, &mamba1), 1.0);
    else bb_plan_use(p, bb_plan_mamba2(p, n->mamba2, &mamba2), factor(f->times.mamba2));
}

void bb_plan_layers(const bb_facts *f, bb_plan *p)
{
    const bb_names *n = f->names;
    const double    mlp_times = factor(f->times.mlp);
    bb_mlp_dims     mlp = f->mlp;
    bb_moe_dims     moe = f->moe;

    mlp.d_model = moe.d_model = f->d_model;
    bb_plan_front(f, p);
    for (int l = 0; l < f->n_layers; l++) {
        bb_plan_layer(p, n->layer, l);
        bb_plan_block(p, n->mixer_norm);
        use_mixer(f, p, l);
        if (!n->mlp) continue;
        bb_plan_block(p, n->mlp_norm);
        const bool is_instead = f->moe_period > 0 && l % f->moe_period == f->moe_offset;
        if (moe.n_experts > 0 && (is_instead || f->moe_period == 0))
            bb_plan_use(p, bb_plan_moe(p, n->moe, &moe), mlp_times);
        if (!is_instead) bb_plan_use(p, bb_plan_mlp(p, n->mlp, &mlp), mlp_times);
    }
    bb_plan_back(f, p);
}

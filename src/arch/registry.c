/* registry.c - the architectures this build knows. */
#include "arch/registry.h"

#include "arch/quantization.h"

#include <stdio.h>
#include <string.h>

extern const bb_arch bb_arch_bamba;
extern const bb_arch bb_arch_falcon_h1;
extern const bb_arch bb_arch_falcon_mamba;
extern const bb_arch bb_arch_granite;
extern const bb_arch bb_arch_granitemoehybrid;
extern const bb_arch bb_arch_jamba;
extern const bb_arch bb_arch_llama;
extern const bb_arch bb_arch_mamba;
extern const bb_arch bb_arch_mamba2;
extern const bb_arch bb_arch_mistral;
extern const bb_arch bb_arch_nemotron_h;
extern const bb_arch bb_arch_zamba;
extern const bb_arch bb_arch_zamba2;

static const bb_arch *const known[] = {
    &bb_arch_bamba,
    &bb_arch_falcon_h1,
    &bb_arch_falcon_mamba,
    &bb_arch_granite,
    &bb_arch_granitemoehybrid,
    &bb_arch_jamba,
    &bb_arch_llama,
    &bb_arch_mamba,
    &bb_arch_mamba2,
    &bb_arch_mistral,
    &bb_arch_nemotron_h,
    &bb_arch_zamba,
    &bb_arch_zamba2,
};

enum { N_KNOWN = sizeof known / sizeof known[0] };

static void fail_unknown(const bb_json *config, const char *key, const char *name)
{
    char   list[250] = "";
    size_t n = 0;

    for (size_t i = 0; i < N_KNOWN && n < sizeof list; i++)
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "",
                              known[i]->model_type);
    bb_json_fail_key(config, key, BAMBA_ERR_UNSUPPORTED,
                     "architecture '%.60s' is not known to this version; known are %s", name, list);
}

const bb_arch *bb_arch_find(const bb_json *config)
{
    const bb_json list = bb_json_get(config, "architectures");
    const bb_json first = bb_json_at(&list, 0);
    const char   *class_name = bb_json_is_text(&first) ? bb_json_value_text(&first, NULL) : "";
    const char   *model_type = bb_json_text_or(config, "model_type", "");

    if (!bb_quantization_is_read(config)) return NULL;
    for (size_t i = 0; i < N_KNOWN; i++)
        if (known[i]->claims && known[i]->claims(config)) return known[i];
    for (size_t i = 0; i < N_KNOWN; i++)
        if (model_type[0] ? strcmp(model_type, known[i]->model_type) == 0
                          : strcmp(class_name, known[i]->class_name) == 0)
            return known[i];

    if (!model_type[0] && !class_name[0])
        bb_json_fail_key(config, "model_type", BAMBA_ERR_FORMAT,
                         "expected the name of an architecture, found nothing");
    else
        fail_unknown(config, model_type[0] ? "model_type" : "architectures",
                     model_type[0] ? model_type : class_name);
    return NULL;
}

static bb_type read_stored_type(const bb_json *c)
{
    const char *name = bb_json_text_or(c, "dtype", bb_json_text_or(c, "torch_dtype", "float32"));

    return strcmp(name, "bfloat16") == 0 ? BB_TYPE_BF16
         : strcmp(name, "float16") == 0 ? BB_TYPE_F16 : BB_TYPE_F32;
}

/* transformers 5 lets single layers have other values of any key. */
static void expect_layers_alike(const bb_json *config)
{
    static const char *const keys[] = { "per_layer_config", "block_configs" };

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const bb_json part = bb_json_get(config, keys[i]);
        if (bb_json_is_object(&part) ? bb_json_members(&part) > 0 : bb_json_length(&part) > 0)
            bb_json_fail_key(config, keys[i], BAMBA_ERR_UNSUPPORTED, "expected nothing: layers "
                             "with values of their own are not read");
    }
}

bb_facts *bb_arch_plan(const bb_arch *arch, const bb_json *config, bb_plan *p)
{
    bb_facts *facts = bb_new(&p->g->alloc, 1, sizeof *facts);

    if (!facts) {
        bb_plan_fail(p, BAMBA_ERR_MEMORY, "plan: out of memory");
        return NULL;
    }
    facts->stored_type = read_stored_type(config);
    expect_layers_alike(config);
    arch->read(config, facts);
    if (bb_json_status(config->doc, NULL) == BAMBA_OK) arch->plan(facts, p);
    return facts;
}

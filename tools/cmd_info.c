/* cmd_info.c - what a model is made of and what it needs. */
#include "commands.h"

#include "console.h"
#include "json.h"
#include "setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t lengths[] = { 0, 4096, 65536 };
enum { N_LENGTHS = sizeof lengths / sizeof *lengths };

/* Write a size as "0 B" ... "17.3 GiB"; returns out. */
static const char *format_bytes(uint64_t bytes, char *out, size_t size)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    double value = (double)bytes;
    int unit = 0;

    for (; value >= 1024.0 && unit < 4; unit++) value /= 1024.0;
    snprintf(out, size, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return out;
}

static void print_bytes(const char *name, uint64_t bytes)
{
    char text[32];
    printf("%-16s%s\n", name, format_bytes(bytes, text, sizeof text));
}

static void print_text(const bamba_model *model, const bamba_model_info *info, const char *plan)
{
    char name[32];

    printf("architecture    %s\n", info->architecture);
    printf("parameters      %llu (%.2f %s)\n", (unsigned long long)info->n_params,
           (double)info->n_params / (info->n_params >= 1000000000 ? 1e9 : 1e6),
           info->n_params >= 1000000000 ? "B" : "M");
    printf("layers          %d\n", info->n_layers);
    printf("width           %d\n", info->d_model);
    printf("vocabulary      %d\n", info->n_vocab);
    if (info->n_context) printf("context         %d\n", info->n_context);
    if (info->bos >= 0) printf("begin token     %d\n", (int)info->bos);
    for (int i = 0; i < info->n_eos; i++)
        printf("%s%d%s", i ? " " : "end tokens      ", (int)info->eos[i],
               i + 1 < info->n_eos ? "" : "\n");
    printf("weights         %s, %.2f bits each\n", setup_type_name(info->weight_type),
           info->bits_per_weight);
    printf("attention cache %s\n", setup_type_name(info->kv_type));
    printf("states          %s\n", setup_type_name(info->state_type));
    printf("kernels         %s\n", info->cpu);
    print_bytes("read per token", info->weights_bytes);
    print_bytes("mapped", info->mapped_bytes);
    print_bytes("resident", info->resident_bytes);
    for (int i = 0; i < N_LENGTHS; i++) {
        snprintf(name, sizeof name, "state at %zu", lengths[i]);
        print_bytes(name, bamba_model_state_bytes(model, lengths[i]));
    }
    printf("\n%s", plan);
    if (*plan && plan[strlen(plan) - 1] != '\n') putchar('\n');
}

static int print_json(const bamba_model *model, const bamba_model_info *info, const char *plan)
{
    json all = JSON_OBJECT, state = JSON_OBJECT;

    json_add_string(&all, "architecture", info->architecture);
    json_add_string(&all, "cpu", info->cpu);
    json_add_string(&all, "weight_type", setup_type_name(info->weight_type));
    json_add_fixed(&all, "bits_per_weight", info->bits_per_weight, 3);
    json_add_string(&all, "kv_type", setup_type_name(info->kv_type));
    json_add_string(&all, "state_type", setup_type_name(info->state_type));
    json_add_uint(&all, "n_params", info->n_params);
    json_add_int(&all, "n_layers", info->n_layers);
    json_add_int(&all, "d_model", info->d_model);
    json_add_int(&all, "n_vocab", info->n_vocab);
    json_add_int(&all, "n_context", info->n_context);
    if (info->bos >= 0) json_add_int(&all, "bos", info->bos);
    else json_add_null(&all, "bos");
    json_add_ids(&all, "eos", info->eos, (size_t)info->n_eos);
    json_add_uint(&all, "weights_bytes", info->weights_bytes);
    json_add_uint(&all, "mapped_bytes", info->mapped_bytes);
    json_add_uint(&all, "resident_bytes", info->resident_bytes);
    for (int i = 0; i < N_LENGTHS; i++) {
        char length[24];
        snprintf(length, sizeof length, "%zu", lengths[i]);
        json_add_uint(&state, length, bamba_model_state_bytes(model, lengths[i]));
    }
    json_add_object(&all, "state_bytes", &state);
    json_add_string(&all, "plan", plan);
    return json_print(&all);
}

static int open_config(setup *s, const setup_flags *f, const char *path)
{
    bamba_model_options o;
    bamba_error err = { BAMBA_OK, "" };

    const int code = setup_model_options(s, f, &o);
    if (code != EXIT_SUCCESS) return code;
    bamba_status status = bamba_model_open_config(&s->model, path, &o, &err);
    if (status == BAMBA_OK) status = bamba_model_info_get(s->model, &s->info);
    return status == BAMBA_OK ? EXIT_SUCCESS : console_fail_library(status, &err);
}

static int show(const setup *s, bool as_json)
{
    const size_t n = bamba_model_describe(s->model, NULL, 0);
    char *plan = malloc(n + 1);

    if (!plan) return console_fail("out of memory");
    bamba_model_describe(s->model, plan, n + 1);
    int code = EXIT_SUCCESS;
    if (as_json) code = print_json(s->model, &s->info, plan);
    else print_text(s->model, &s->info, plan);
    free(plan);
    return console_finish(code);
}

int cmd_info(const command *self, int argc, char **argv)
{
    setup s = SETUP;
    setup_flags f = SETUP_FLAGS;
    const char *config = NULL;
    bool as_json = false;
    const arg args[] = {
        SETUP_MODEL_ROW(&f),
        ARG_TEXT_ROW("--config", "FILE", &config, "a config.json alone, without weights"),
        ARG_FLAG_ROW("--json", &as_json, "one JSON object"),
        SETUP_TYPE_ROWS(&f),
        ARG_END
    };

    int code = args_read(self, args, argc, argv);
    if (code == ARGS_READ && config && f.dir)
        code = args_wrong(self, "either -m or --config, not both");
    if (code != ARGS_READ) {
        setup_free_flags(&f);
        return code;
    }
    console_catch_interrupt();
    code = config ? open_config(&s, &f, config) : setup_open_model(&s, &f);
    if (code == EXIT_SUCCESS) code = show(&s, as_json);
    setup_close(&s);
    setup_free_flags(&f);
    return code;
}

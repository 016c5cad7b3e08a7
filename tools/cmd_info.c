/* cmd_info.c - what a model is made of and what it needs. */
#include "commands.h"

#include "console.h"
#include "json_write.h"
#include "setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t lengths[] = { 0, 4096, 65536 };
enum { N_LENGTHS = sizeof lengths / sizeof *lengths };

static const char *type_name(bamba_type type)
{
    return type > BAMBA_TYPE_DEFAULT && type <= BAMBA_TYPE_F16 ? setup_weight_types[type]
                                                               : "unknown";
}

/* "0 B" ... "17.3 GiB" */
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
    printf("weights         %s\n", type_name(info->weight_type));
    printf("attention cache %s\n", type_name(info->kv_type));
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

static void print_count(const char *key, uint64_t value)
{
    printf(", \"%s\": %llu", key, (unsigned long long)value);
}

static void print_json(const bamba_model *model, const bamba_model_info *info, const char *plan)
{
    printf("{\"architecture\": ");
    json_write_string(stdout, info->architecture);
    printf(", \"cpu\": ");
    json_write_string(stdout, info->cpu);
    printf(", \"weight_type\": \"%s\", \"kv_type\": \"%s\"", type_name(info->weight_type),
           type_name(info->kv_type));
    print_count("n_params", info->n_params);
    print_count("n_layers", (uint64_t)info->n_layers);
    print_count("d_model", (uint64_t)info->d_model);
    print_count("n_vocab", (uint64_t)info->n_vocab);
    print_count("n_context", (uint64_t)info->n_context);
    printf(", \"bos\": ");
    if (info->bos >= 0) printf("%d", (int)info->bos);
    else printf("null");
    printf(", \"eos\": ");
    json_write_ids(stdout, info->eos, (size_t)info->n_eos);
    print_count("weights_bytes", info->weights_bytes);
    print_count("mapped_bytes", info->mapped_bytes);
    print_count("resident_bytes", info->resident_bytes);
    printf(", \"state_bytes\": {");
    for (int i = 0; i < N_LENGTHS; i++)
        printf("%s\"%zu\": %llu", i ? ", " : "", lengths[i],
               (unsigned long long)bamba_model_state_bytes(model, lengths[i]));
    printf("}, \"plan\": ");
    json_write_string(stdout, plan);
    printf("}\n");
}

static int open_config(setup *s, const setup_flags *f, const char *path)
{
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    bamba_error err = { BAMBA_OK, "" };

    o.weight_type = (bamba_type)f->weight_type;
    o.kv_type = (bamba_type)f->kv_type;
    o.cpu = f->cpu;
    o.log = console_log;
    bamba_status status = bamba_model_open_config(&s->model, path, &o, &err);
    if (status == BAMBA_OK) status = bamba_model_info_get(s->model, &s->info);
    return status == BAMBA_OK ? EXIT_SUCCESS : console_fail_library(status, &err);
}

static int show(const setup *s, bool json)
{
    const size_t n = bamba_model_describe(s->model, NULL, 0);
    char *plan = malloc(n + 1);

    if (!plan) return console_fail("out of memory");
    bamba_model_describe(s->model, plan, n + 1);
    if (json) print_json(s->model, &s->info, plan);
    else print_text(s->model, &s->info, plan);
    free(plan);
    return console_finish(EXIT_SUCCESS);
}

int cmd_info(const command *self, int argc, char **argv)
{
    setup s = SETUP;
    setup_flags f = SETUP_FLAGS;
    const char *config = NULL;
    bool json = false;
    const arg args[] = {
        SETUP_MODEL_ARG(&f),
        { "--config", "FILE", "a config.json alone, without weights", ARG_TEXT, &config, 0, 0,
          NULL },
        { "--json", NULL, "one JSON object", ARG_FLAG, &json, 0, 0, NULL },
        SETUP_TYPE_ARGS(&f),
        ARG_END
    };

    int code = args_read(self, args, argc, argv);
    if (code != ARGS_READ) return code;
    if (config && f.dir) return args_wrong(self, "either -m or --config, not both");
    console_catch_interrupt();
    code = config ? open_config(&s, &f, config) : setup_open_model(&s, &f);
    if (code == EXIT_SUCCESS) code = show(&s, json);
    setup_close(&s);
    return code;
}

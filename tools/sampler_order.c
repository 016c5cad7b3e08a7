/* sampler_order.c - the order of a sampler's stages, by llama.cpp's names and letters. */
#include "sampler_order.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_NAME = 24 };

/* A name may have '-' for '_', or nothing. */
static const struct stage_name { const char *name, *other; char letter; } names[] = {
    [BAMBA_STAGE_PENALTIES]   = { "penalties", "", 'e' },
    [BAMBA_STAGE_DRY]         = { "dry", "", 'd' },
    [BAMBA_STAGE_TOP_N_SIGMA] = { "top_n_sigma", "", 's' },
    [BAMBA_STAGE_TOP_K]       = { "top_k", "", 'k' },
    [BAMBA_STAGE_TYPICAL]     = { "typ_p", "typ", 'y' },
    [BAMBA_STAGE_TOP_P]       = { "top_p", "nucleus", 'p' },
    [BAMBA_STAGE_MIN_P]       = { "min_p", "", 'm' },
    [BAMBA_STAGE_XTC]         = { "xtc", "", 'x' },
    [BAMBA_STAGE_TEMPERATURE] = { "temperature", "temp", 't' },
};

static bool is_small(const char *text, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        const char c = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 32) : text[i];
        if (*name == '_' && c != '_' && c != '-') name++;
        if (*name == '\0' || (c == '-' ? '_' : c) != *name++) return false;
    }
    return *name == '\0';
}

static int find_name(const char *text, size_t n)
{
    for (int i = 1; i <= BAMBA_STAGE_TEMPERATURE; i++)
        if (is_small(text, n, names[i].name) || (n > 0 && is_small(text, n, names[i].other)))
            return i;
    return 0;
}

static int add_stage(sampler_order *out, const command *self, const char *option, int stage,
                     const char *text, size_t n)
{
    if (n > MOST_NAME) n = MOST_NAME;
    if (stage == 0)
        return args_wrong(self, "%s: expected penalties (e), dry (d), top_n_sigma (s), top_k (k), "
                          "typ_p (y), top_p (p), min_p (m), xtc (x) or temperature (t), found "
                          "'%.*s'", option, (int)n, text);
    for (size_t i = 0; i < out->n; i++)
        if ((int)out->stages[i] == stage)
            return args_wrong(self, "%s: expected each sampler at most once, found '%.*s' again",
                              option, (int)n, text);
    out->stages[out->n++] = (bamba_sampler_stage)stage;
    return EXIT_SUCCESS;
}

int sampler_order_read_names(sampler_order *out, const command *self, const char *text)
{
    int code;

    out->n = 0;
    for (;; text++) {
        const size_t n = strcspn(text, ";");
        code = add_stage(out, self, "--samplers", find_name(text, n), text, n);
        text += n;
        if (code != EXIT_SUCCESS || *text == '\0') return code;
    }
}

int sampler_order_read_letters(sampler_order *out, const command *self, const char *text)
{
    int code = EXIT_SUCCESS;

    out->n = 0;
    for (; *text && code == EXIT_SUCCESS; text++) {
        int stage = BAMBA_STAGE_TEMPERATURE;
        while (stage > 0 && names[stage].letter != *text) stage--;
        code = add_stage(out, self, "--sampler-seq", stage, text, 1);
    }
    return code;
}

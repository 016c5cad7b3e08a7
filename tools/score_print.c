/* score_print.c - what a model made of a text, for readers and for programs. */
#include "score.h"

#include "json.h"

#include <stdio.h>
#include <stdlib.h>

void score_print_chunk(const score *s, size_t chunk)
{
    score_figures f;

    score_figure(s, &f);
    if (!s->compares) {
        printf("[%zu]%.4f,", chunk, f.ppl.mean);
        return;
    }
    if (chunk == 1)
        puts("chunk             PPL               ln(PPL(Q)/PPL(base))          KL Divergence"
             "              Δp RMS            Same top p");
    printf("%4zu    %9.4f ± %9.4f    %10.5f ± %10.5f    %10.5f ± %10.5f    %6.3f ± %6.3f %%"
           "    %6.3f ± %6.3f %%\n", chunk, f.ppl.mean, f.ppl.error, f.ln_ratio.mean,
           f.ln_ratio.error, f.kld.mean, f.kld.error, 100.0 * f.rms_dp.mean,
           100.0 * f.rms_dp.error, 100.0 * f.same_top.mean, 100.0 * f.same_top.error);
}

static void print_value(const char *name, score_value v)
{
    printf("%-30s: %10.6f ± %10.6f\n", name, v.mean, v.error);
}

static void print_percent(const char *name, score_value v)
{
    printf("%s: %6.3f ± %5.3f %%\n", name, 100.0 * v.mean, 100.0 * v.error);
}

static void print_comparison(const score_figures *f)
{
    puts("\n====== Perplexity statistics ======");
    print_value("Mean PPL(Q)", f->ppl);
    print_value("Mean PPL(base)", f->base_ppl);
    printf("Cor(ln(PPL(Q)), ln(PPL(base))): %6.2f%%\n", 100.0 * f->correlation);
    print_value("Mean ln(PPL(Q)/PPL(base))", f->ln_ratio);
    print_value("Mean PPL(Q)/PPL(base)", f->ratio);
    print_value("Mean PPL(Q)-PPL(base)", f->difference);

    puts("\n====== KL divergence statistics ======");
    printf("Mean    KLD: %10.6f ± %10.6f\n", f->kld.mean, f->kld.error);
    printf("Maximum KLD: %10.6f\n", f->largest_kld);
    for (int i = SCORE_PERCENTILES - 1; i > 0; i--)
        printf("%4.1f%%   KLD: %10.6f\n", 100.0 * score_fractions[i], f->percentile[i]);
    printf("Median  KLD: %10.6f\n", f->percentile[0]);

    puts("\n====== Token probability statistics ======");
    print_percent("Mean    Δp", f->dp);
    print_percent("RMS Δp    ", f->rms_dp);
    print_percent("Same top p", f->same_top);
}

static void print_text(const score *s, const score_figures *f)
{
    if (s->compares) print_comparison(f);
    else printf("\nFinal estimate: PPL = %.4f +/- %.5f", f->ppl.mean, f->ppl.error);
    printf("\n%zu tokens scored: %.5f nats per token", s->n, f->nats.mean);
    if (s->n_characters) {
        const double nats = f->nats.mean * (double)s->n;
        printf(", %.5f per character, %.5f per byte", nats / (double)s->n_characters,
               nats / (double)s->n_bytes);
    }
    putchar('\n');
}

static void add_value(json *j, const char *key, score_value v)
{
    char name[48];

    json_add_fixed(j, key, v.mean, 9);
    snprintf(name, sizeof name, "%s_error", key);
    json_add_fixed(j, name, v.error, 9);
}

static void add_comparison(json *j, const score_figures *f)
{
    static const char *const names[SCORE_PERCENTILES] = {
        "kld_median", "kld_90", "kld_95", "kld_99", "kld_99.9"
    };

    add_value(j, "base_ppl", f->base_ppl);
    json_add_fixed(j, "correlation", f->correlation, 9);
    add_value(j, "ln_ppl_ratio", f->ln_ratio);
    add_value(j, "ppl_ratio", f->ratio);
    add_value(j, "ppl_difference", f->difference);
    add_value(j, "kld", f->kld);
    for (size_t i = 0; i < SCORE_PERCENTILES; i++)
        json_add_fixed(j, names[i], f->percentile[i], 9);
    json_add_fixed(j, "kld_max", f->largest_kld, 9);
    add_value(j, "dp", f->dp);
    add_value(j, "rms_dp", f->rms_dp);
    add_value(j, "same_top", f->same_top);
}

int score_print(const score *s, size_t n_chunks, size_t n, bool as_json)
{
    score_figures f;
    json all = JSON_OBJECT;

    score_figure(s, &f);
    if (!as_json) {
        print_text(s, &f);
        return EXIT_SUCCESS;
    }
    json_add_uint(&all, "n_chunks", n_chunks);
    json_add_uint(&all, "chunk_tokens", n);
    json_add_uint(&all, "n_scored", s->n);
    add_value(&all, "ppl", f.ppl);
    add_value(&all, "nats_per_token", f.nats);
    if (s->n_characters) {
        const double nats = f.nats.mean * (double)s->n;
        json_add_fixed(&all, "nats_per_character", nats / (double)s->n_characters, 9);
        json_add_fixed(&all, "nats_per_byte", nats / (double)s->n_bytes, 9);
    }
    if (s->compares) add_comparison(&all, &f);
    return json_print(&all);
}

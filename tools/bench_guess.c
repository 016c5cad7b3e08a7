/* bench_guess.c - decoding with guessed tokens, of which a given share is right, beside decoding
 * without.
 *
 * What is measured is what speculation costs: passes of a token and its guesses, a row of logits
 * for each, and going back behind the guesses that stand. The tokens are random, and so is which of
 * them stand: each with the given probability if those before it do, by evenly
 * spread draws, so that few passes have the right mean. Samples without and with guesses
 * alternate; the ratio is the median of those of neighbours. */
#include "bench.h"

#include "console.h"
#include "pace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { REWIND = 64 };                     /* tokens that the session can take back by its log */

/* Samples of one row. */
typedef struct guess_run {
    bench_model   *m;
    bench_test     test;
    int            n_guess, accept;       /* a pass; per cent */
    bamba_session *session;
    size_t         n;                     /* samples */
    double         plain_ns[BENCH_REPETITIONS], guess_ns[BENCH_REPETITIONS];
    double         ratio[BENCH_REPETITIONS];
    double         rewind_ns;             /* of all samples, as are … */
    size_t         n_passes, n_rewinds, n_guessed, n_right, n_tokens;
    uint64_t       random;
    double         unit;                  /* the draw that decides how many stand */
} guess_run;

static uint64_t draw(guess_run *r)
{
    r->random = r->random * 6364136223846793005u + 1442695040888963407u;
    return r->random >> 33;
}

/* How many of k guesses stand: j or more with probability accept^j. */
static int draw_right(guess_run *r, int k)
{
    const double accept = r->accept / 100.0;
    int n = 0;

    r->unit += 0.6180339887498949;        /* the most even spread of any number of draws */
    r->unit -= floor(r->unit);
    for (double p = accept; n < k && r->unit < p; p *= accept) n++;
    return n;
}

/* Feed a token and k guesses, and take those back that do not stand. *n_right: of them do. */
static int run_pass(guess_run *r, int k, int *n_right, double *ns)
{
    int32_t         tokens[1 + PACE_MOST];
    bamba_feed_item item = { .session = r->session, .tokens = tokens, .n = (size_t)k + 1,
                             .n_logits = (size_t)k + 1 };
    bamba_error     err = { BAMBA_OK, "" };

    for (int i = 0; i <= k; i++) tokens[i] = (int32_t)(draw(r) % (uint64_t)r->m->info.n_vocab);
    *n_right = draw_right(r, k);
    const size_t wrong = (size_t)(k - *n_right);
    const double start = console_now_ms();
    bamba_status status = bamba_feed_batch(r->m->engine, &item, 1, &err);
    const double fed = console_now_ms();
    if (status == BAMBA_OK && wrong > 0)
        status = bamba_session_rewind(r->m->engine, r->session,
                                      bamba_session_position(r->session) - wrong, &err);
    const double end = console_now_ms();
    *ns = 1e6 * (end - start);
    r->rewind_ns += 1e6 * (end - fed);
    r->n_rewinds += wrong > 0;
    if (status != BAMBA_OK) return console_fail_library(status, &err);
    return console_interrupted() ? EXIT_INTERRUPTED : EXIT_SUCCESS;
}

/* Decode from the depth on until there are n_gen tokens, or some more by the last pass. *ns: for
   n_gen of them. */
static int take_sample(guess_run *r, bool guesses, double *ns)
{
    const bench_options *o = r->m->options;
    const int   n_gen = r->test.n_gen;
    bamba_error err = { BAMBA_OK, "" };
    pace        p = { .n_passes = 0 };
    pace_source source = PACE_SOURCE;
    double      all_ns = 0.0, pass_ns;
    int         done = 0, n_right, code = EXIT_SUCCESS;

    if (bamba_session_fill(r->session, (size_t)r->test.n_depth, (uint64_t)o->seed,
                           &err) != BAMBA_OK)
        return console_fail_library(err.code, &err);
    for (; done < n_gen && code == EXIT_SUCCESS; done += 1 + n_right) {
        const int k = !guesses ? 0
                    : o->adapt ? pace_number(&p, &source, r->n_guess, 0.0) : r->n_guess;
        code = run_pass(r, k, &n_right, &pass_ns);
        all_ns += pass_ns;
        pace_learn(&p, k > 0 ? &source : NULL, k, n_right, 1e-6 * pass_ns, 0.0);
    }
    *ns = all_ns * n_gen / done;
    if (!guesses) return code;
    r->n_passes += p.n_passes;
    r->n_guessed += source.n_guessed;
    r->n_right += source.n_right;
    r->n_tokens += (size_t)done;
    return code;
}

static int measure(guess_run *r)
{
    const bench_options  *o = r->m->options;
    bamba_session_options so = BAMBA_SESSION_OPTIONS;
    bamba_error           err = { BAMBA_OK, "" };
    double                ns;

    so.n_context = (size_t)r->test.n_depth + (size_t)(r->test.n_gen + r->n_guess);
    so.n_rewind = REWIND;
    so.adapters = r->m->adapter.use;
    so.n_adapters = r->m->adapter.n;
    const bamba_status status = bamba_session_create(&r->session, r->m->model, &so, &err);
    if (status != BAMBA_OK) return console_fail_library(status, &err);
    r->random = (uint64_t)o->seed;
    int code = o->no_warmup ? EXIT_SUCCESS : take_sample(r, false, &ns);
    for (size_t i = 0; i < r->n && code == EXIT_SUCCESS; i++) {
        code = take_sample(r, false, &r->plain_ns[i]);
        if (code == EXIT_SUCCESS) code = take_sample(r, true, &r->guess_ns[i]);
        r->ratio[i] = r->plain_ns[i] / r->guess_ns[i];
    }
    bamba_session_free(r->session);
    return code;
}

static double divide(double a, double b) { return b > 0.0 ? a / b : 0.0; }

static int print_row(guess_run *r, bool first)
{
    const bench_options *o = r->m->options;
    const double plain = divide(1e9 * r->test.n_gen, bench_median(r->plain_ns, r->n));
    const double guessed = divide(1e9 * r->test.n_gen, bench_median(r->guess_ns, r->n));
    const double ratio = bench_median(r->ratio, r->n);
    const double per_pass = divide((double)r->n_tokens, (double)r->n_passes);
    const double rewind_ms = 1e-6 * divide(r->rewind_ns, (double)r->n_rewinds);
    const double right = divide((double)r->n_right, (double)r->n_guessed);
    const char *const bar = bench_has_adapters(o) ? " adapters     |" : "";
    const char *const rule = bench_has_adapters(o) ? " :----------- |" : "";
    char test[48], number[16];

    snprintf(test, sizeof test, r->test.n_depth ? "tg%d @ d%d" : "tg%d", r->test.n_gen,
             r->test.n_depth);
    snprintf(number, sizeof number, "%s%d", o->adapt ? "up to " : "", r->n_guess);
    if (o->format == BENCH_MD) {
        if (first)
            printf("| %-30s | threads | %15s | %8s | accept %% | right %% | tokens/pass "
                   "| rewind ms |   plain t/s | guessed t/s |  ratio |%s\n"
                   "| %.30s | ------: | %.14s: | %.7s: | -------: | ------: | ----------: "
                   "| --------: | ----------: | ----------: | -----: |%s\n", "model", "test",
                   "guesses", bar, "------------------------------", "--------------", "-------",
                   rule);
        printf("| %-30s | %7d | %15s | %8s | %8d | %7.1f | %11.2f | %9.3f | %11.2f | %11.2f | "
               "%6.3f |", r->m->type, bamba_engine_threads(r->m->engine), test, number, r->accept,
               100.0 * right, per_pass, rewind_ms, plain, guessed, ratio);
        char *names = bench_name_adapters(o);
        if (bench_has_adapters(o)) printf(" %-12s |", names ? names : "?");
        free(names);
        putchar('\n');
        return EXIT_SUCCESS;
    }
    json row = JSON_OBJECT;
    json_add_string(&row, "model_filename", r->m->source->name);
    json_add_string(&row, "model_type", r->m->type);
    bench_add_adapters(&row, o);
    json_add_int(&row, "n_threads", bamba_engine_threads(r->m->engine));
    json_add_int(&row, "n_gen", r->test.n_gen);
    json_add_int(&row, "n_depth", r->test.n_depth);
    json_add_int(&row, "n_guess", r->n_guess);
    json_add_int(&row, "adapt", o->adapt);
    json_add_int(&row, "accept_percent", r->accept);
    json_add_fixed(&row, "right_share", right, 4);
    json_add_fixed(&row, "tokens_per_pass", per_pass, 4);
    json_add_fixed(&row, "rewind_ms", rewind_ms, 4);
    json_add_fixed(&row, "plain_ts", plain, 4);
    json_add_fixed(&row, "guessed_ts", guessed, 4);
    json_add_fixed(&row, "ratio", ratio, 4);
    return bench_print_object(o, &row, first);
}

int bench_guesses(bench_model *m, size_t *n_rows)
{
    const bench_options *o = m->options;
    const bench_list *gen = &o->list[BENCH_GEN], *most = &o->list[BENCH_GUESS];
    const bench_list *accept = &o->list[BENCH_ACCEPT];
    const size_t n = gen->n * most->n * accept->n;
    int code = EXIT_SUCCESS;

    guess_run *r = malloc(sizeof *r);
    if (!r) return console_fail("out of memory");
    for (size_t i = 0; i < n && code == EXIT_SUCCESS; i++) {
        const int n_gen = gen->value[i / (most->n * accept->n)];
        memset(r, 0, sizeof *r);
        r->m = m;
        r->n = (size_t)o->repetitions;
        r->test = (bench_test){ 0, n_gen, m->setting[BENCH_DEPTH], 1 };
        r->n_guess = most->value[i / accept->n % most->n];
        r->accept = accept->value[i % accept->n];
        if (n_gen == 0) continue;
        code = measure(r);
        if (code == EXIT_SUCCESS) code = print_row(r, *n_rows == 0);
        if (code == EXIT_SUCCESS) ++*n_rows, code = console_flush();
    }
    free(r);
    return code;
}

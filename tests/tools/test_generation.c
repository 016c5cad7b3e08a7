/* test_generation.c - tokens become text piece by piece: what is shown is never taken back, and
 * the text ends for the right reason. With the embedded model's tokenizer. */
#include "generation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char MODEL[] = BB_TEST_SOURCE_DIR "/models/fable";
static const char TEXT[] = "The old man went to the fox, and said: \xE2\x80\x9CGood day, "
                           "w\xC3\xB6rld!\xE2\x80\x9D  12";

static bamba_tokenizer *tokenizer;
static bamba_model     *model;
static int32_t         *ids;              /* of TEXT */
static size_t           n_ids;

static int open_model(void **state)
{
    bamba_error err;

    (void)state;
    if (bamba_tokenizer_open(&tokenizer, MODEL, NULL, &err) != BAMBA_OK
        || bamba_model_open(&model, MODEL, NULL, &err) != BAMBA_OK
        || bamba_tokenize(tokenizer, TEXT, strlen(TEXT), 0, &ids, &n_ids, &err) != BAMBA_OK)
        fail_msg("%s", err.message);
    return n_ids < 8;
}

static int close_model(void **state)
{
    (void)state;
    bamba_tokens_free(tokenizer, ids);
    bamba_model_free(model);
    bamba_tokenizer_free(tokenizer);
    return 0;
}

static generation begin(const char *const *stops, size_t n_stops)
{
    generation g = GENERATION;

    g.tokenizer = tokenizer;
    g.model = model;
    g.stops = stops;
    g.n_stops = n_stops;
    return g;
}

static void append_taken(generation *g, char *shown)
{
    size_t      n;
    const char *text = generation_take(g, &n);

    strncat(shown, text, n);
}

/* Put all ids until an end; what was shown in pieces must be the text. */
static void run(generation *g)
{
    char shown[sizeof TEXT] = "";

    for (size_t i = 0; i < n_ids && g->end == GENERATION_RUNNING; i++) {
        assert_int_equal(generation_put(g, ids[i], 1000 - i), BAMBA_OK);
        append_taken(g, shown);
        assert_memory_equal(shown, TEXT, strlen(shown));
    }
    assert_int_equal(generation_finish(g, GENERATION_INTERRUPT), BAMBA_OK);
    append_taken(g, shown);
    assert_int_equal(strlen(shown), g->n_text);
    assert_memory_equal(shown, g->text, g->n_text);
    assert_memory_equal(g->ids, ids, g->n_ids * sizeof *ids);
}

static void test_whole_text(void **state)
{
    generation g = begin(NULL, 0);

    (void)state;
    run(&g);
    assert_int_equal(g.n_ids, n_ids);
    assert_int_equal(g.n_text, strlen(TEXT));
    assert_int_equal(g.end, GENERATION_INTERRUPT);
    generation_free(&g);
}

static void test_limit_and_context(void **state)
{
    generation g = begin(NULL, 0);

    (void)state;
    g.limit = 3;
    run(&g);
    assert_int_equal(g.n_ids, 3);
    assert_int_equal(g.end, GENERATION_LENGTH);
    generation_free(&g);

    g = begin(NULL, 0);
    assert_int_equal(generation_put(&g, ids[0], 1), BAMBA_OK);
    assert_int_equal(g.end, GENERATION_RUNNING);
    assert_int_equal(generation_put(&g, ids[1], 0), BAMBA_OK);
    assert_int_equal(g.end, GENERATION_CONTEXT);
    generation_free(&g);
}

/* Stop strings that begin inside a token, span several, and overlap with another's beginning. */
static void test_stop_strings(void **state)
{
    static const char *const stops[] = { "fox, or", "ox, and s", "Good" };
    generation g = begin(stops, 3);

    (void)state;
    run(&g);
    assert_int_equal(g.end, GENERATION_STOP);
    assert_int_equal(g.n_text, strstr(TEXT, stops[1]) - TEXT);
    generation_free(&g);
}

static void test_half_a_stop_string_is_text(void **state)
{
    static const char *const stops[] = { "  12345", "foxes" };
    char       shown[sizeof TEXT] = "";
    generation g = begin(stops, 2);

    (void)state;
    for (size_t i = 0; i < n_ids; i++) {
        assert_int_equal(generation_put(&g, ids[i], 1000), BAMBA_OK);
        append_taken(&g, shown);
    }
    assert_int_equal(strlen(shown), strlen(TEXT) - strlen("  12"));     /* held back */
    assert_int_equal(generation_finish(&g, GENERATION_LENGTH), BAMBA_OK);
    append_taken(&g, shown);
    assert_string_equal(shown, TEXT);
    assert_int_equal(g.end, GENERATION_LENGTH);
    generation_free(&g);
}

static void test_end_token(void **state)
{
    bamba_model_info info = BAMBA_MODEL_INFO;
    generation       g = begin(NULL, 0), with_special = begin(NULL, 0), plain = begin(NULL, 0);
    size_t           n;

    (void)state;
    bamba_model_info_get(model, &info);
    assert_true(info.n_eos > 0);
    const char *name = bamba_token_text(tokenizer, info.eos[0], &n);

    assert_int_equal(generation_put(&g, ids[0], 9), BAMBA_OK);
    assert_int_equal(generation_put(&g, info.eos[0], 9), BAMBA_OK);
    assert_int_equal(g.end, GENERATION_END);
    assert_int_equal(g.n_ids, 2);
    assert_int_equal(generation_finish(&g, GENERATION_LENGTH), BAMBA_OK);
    assert_int_equal(g.end, GENERATION_END);
    assert_memory_equal(g.text, "The", g.n_text);

    with_special.special = true;
    assert_int_equal(generation_put(&with_special, info.eos[0], 9), BAMBA_OK);
    assert_int_equal(with_special.end, GENERATION_END);
    assert_int_equal(with_special.n_text, n);
    assert_memory_equal(with_special.text, name, n);

    plain.model = NULL;                   /* nothing ends the text of a tokenizer alone */
    assert_int_equal(generation_put(&plain, info.eos[0], 9), BAMBA_OK);
    assert_int_equal(plain.end, GENERATION_RUNNING);
    generation_free(&g);
    generation_free(&with_special);
    generation_free(&plain);
}

/* The text of a prompt is left out; a character that it begins is finished by the next token. */
static void test_skip(void **state)
{
    generation g = begin(NULL, 0);
    size_t     cut = 0, n_before = 0;

    (void)state;
    for (size_t n; cut < n_ids; cut++) {
        bamba_token_text(tokenizer, ids[cut], &n);
        n_before += n;
        if (n_before < strlen(TEXT) && ((unsigned char)TEXT[n_before] & 0xC0) == 0x80) break;
    }
    if (cut == n_ids) fail_msg("no token ends inside a character");
    assert_int_equal(generation_skip(&g, ids, cut + 1), BAMBA_OK);
    assert_int_equal(g.n_text, 0);
    assert_int_equal(g.n_ids, 0);
    for (size_t i = cut + 1; i < n_ids; i++)
        assert_int_equal(generation_put(&g, ids[i], 1000), BAMBA_OK);
    assert_int_equal(generation_finish(&g, GENERATION_LENGTH), BAMBA_OK);
    while (((unsigned char)TEXT[n_before] & 0xC0) == 0x80) n_before--;
    assert_int_equal(g.n_text, strlen(TEXT) - n_before);
    assert_memory_equal(g.text, TEXT + n_before, g.n_text);
    generation_free(&g);
}

/* A banned text is never shown, whole or in part; taken back, the text goes on from before the
   token that it began with. */
static void test_bans(void **unused)
{
    static const char *const bans[1] = { "zzz" };
    char        word[16] = "", shown[sizeof TEXT] = "";
    const char *ban[1] = { word };

    (void)unused;
    for (size_t at = 3; at + 8 < sizeof TEXT; at += 7) {  /* any place of the text */
        generation g = GENERATION;
        size_t     i = 0;

        memcpy(word, TEXT + at, 6);
        word[6] = '\0';
        g.tokenizer = tokenizer;
        g.bans = ban;
        g.n_bans = 1;
        shown[0] = '\0';
        for (; i < n_ids && !g.is_banned; i++) {
            assert_int_equal(generation_put(&g, ids[i], 1000), BAMBA_OK);
            append_taken(&g, shown);
        }
        assert_true(g.is_banned);
        assert_null(strstr(shown, word));
        const size_t place = generation_banned_token(&g);
        assert_true(place < i);
        generation_cut(&g, place);
        assert_false(g.is_banned);
        assert_int_equal(g.n_ids, place);
        assert_true(strlen(shown) <= g.n_text);
        assert_memory_equal(shown, g.text, strlen(shown));
        g.bans = bans;                    /* now the same tokens again, to the end */
        for (i = place; i < n_ids && g.end == GENERATION_RUNNING; i++)
            assert_int_equal(generation_put(&g, ids[i], 1000), BAMBA_OK);
        assert_int_equal(generation_finish(&g, GENERATION_INTERRUPT), BAMBA_OK);
        append_taken(&g, shown);
        assert_memory_equal(shown, TEXT, strlen(shown));
        generation_free(&g);
    }
}

static uint32_t draw(uint32_t *random, uint32_t n)
{
    *random = *random * 1664525u + 1013904223u;
    return (*random >> 16) % n;
}

/* Random tokens, most of which end or begin a banned text, and now and then all of the last tokens
   taken back: with other tokens in their place no banned text appears, and nothing that was shown
   changes. */
static void test_random_ways_back(void **unused)
{
    enum { TOKENS = 60, OPEN = 4, RUNS = 3000 };
    static const char        source[] = ". she said\n\" and then.th e the a. \"Oh\"";
    static const char *const bans[] = { ". ", "\n", "th", " a.", "d\" a" };
    const size_t             n_bans = sizeof bans / sizeof *bans;
    int32_t                 *some;
    size_t                   n_some, n_banned = 0;
    bamba_error              err;

    (void)unused;
    assert_int_equal(bamba_tokenize(tokenizer, source, strlen(source), 0, &some, &n_some, &err),
                     BAMBA_OK);
    for (uint32_t run = 0; run < RUNS; run++) {
        uint32_t   random = run;
        char       shown[4096] = "";
        generation g = begin(NULL, 0);
        g.bans = bans;
        g.n_bans = 1 + run % n_bans;
        g.n_open = run % 2 ? OPEN : 0;
        size_t most = OPEN;               /* tokens there were at a time */
        for (int step = 0; g.n_ids < TOKENS && step < 50 * TOKENS; step++) {
            assert_int_equal(generation_put(&g, some[draw(&random, (uint32_t)n_some)], 1000),
                             BAMBA_OK);
            append_taken(&g, shown);
            n_banned += g.is_banned;
            if (g.n_ids > most) most = g.n_ids;
            if (g.is_banned) generation_cut(&g, generation_banned_token(&g));
            else if (g.n_open > 0 && draw(&random, 9) == 0)
                generation_cut(&g, most - draw(&random, OPEN + 1));
            assert_true(strlen(shown) <= g.n_text);
            assert_memory_equal(shown, g.text ? g.text : "", strlen(shown));
        }
        assert_int_equal(generation_finish(&g, GENERATION_LENGTH), BAMBA_OK);
        append_taken(&g, shown);
        assert_int_equal(strlen(shown), g.n_text);
        for (size_t i = 0; i < 1 + run % n_bans; i++) assert_null(strstr(shown, bans[i]));
        generation_free(&g);
    }
    assert_true(n_banned > RUNS);
    bamba_tokens_free(tokenizer, some);
}

/* Tokens that may be taken back are not shown. */
static void test_open(void **unused)
{
    generation g = begin(NULL, 0);
    char       shown[sizeof TEXT] = "";

    (void)unused;
    g.n_open = 5;
    for (size_t i = 0; i < n_ids && g.end == GENERATION_RUNNING; i++) {
        assert_int_equal(generation_put(&g, ids[i], 1000), BAMBA_OK);
        append_taken(&g, shown);
        if (g.n_ids > 20) {
            generation_cut(&g, g.n_ids - 5);
            assert_memory_equal(shown, g.text, strlen(shown));
            assert_true(strlen(shown) <= g.n_text);
            break;
        }
    }
    assert_true(strlen(shown) > 0);
    generation_free(&g);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(generation_end_name(GENERATION_LENGTH), "length");
    assert_string_equal(generation_end_name(GENERATION_END), "end");
    assert_string_equal(generation_end_name(GENERATION_STOP), "stop");
    assert_string_equal(generation_end_name(GENERATION_CONTEXT), "context");
    assert_string_equal(generation_end_name(GENERATION_INTERRUPT), "interrupt");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_text),
        cmocka_unit_test(test_limit_and_context),
        cmocka_unit_test(test_stop_strings),
        cmocka_unit_test(test_half_a_stop_string_is_text),
        cmocka_unit_test(test_end_token),
        cmocka_unit_test(test_skip),
        cmocka_unit_test(test_bans),
        cmocka_unit_test(test_random_ways_back),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}

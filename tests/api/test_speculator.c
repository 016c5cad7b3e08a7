/* test_speculator.c - guesses follow what followed the last tokens before. */
#include "bamba.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bamba_error err;

static bamba_speculator *make(const int32_t *tokens, size_t n)
{
    bamba_speculator *s;

    assert_int_equal(bamba_speculator_create(&s, &err), BAMBA_OK);
    assert_int_equal(bamba_speculator_accept(s, tokens, n, &err), BAMBA_OK);
    return s;
}

static void expect(const int32_t *tokens, size_t n_tokens, const int32_t *guess, size_t n)
{
    bamba_speculator *s = make(tokens, n_tokens);
    int32_t           found[8] = { 0 };

    assert_int_equal(bamba_speculator_propose(s, found, n), n);
    assert_memory_equal(found, guess, n * sizeof *found);
    bamba_speculator_free(s);
}

#define LIST(...)                                                                                 \
    (const int32_t[]){ __VA_ARGS__ }, sizeof((const int32_t[]){ __VA_ARGS__ }) / sizeof(int32_t)

static void test_guesses(void **unused)
{
    int32_t guess[8];

    (void)unused;
    expect(LIST(1, 2, 3, 4, 5, 1, 2), LIST(3, 4, 5));
    expect(LIST(1, 2, 3, 1, 2, 4, 1, 2), LIST(4, 1));                 /* the latest of equals */
    expect(LIST(9, 1, 2, 3, 8, 1, 2, 4, 9, 1, 2), LIST(3, 8));        /* the longest agreement */
    expect(LIST(7, 7, 7), LIST(7, 7, 7, 7));                          /* past the end: it repeats */
    expect(LIST(1, 2, 3, 1, 2, 3), LIST(1, 2, 3, 1, 2, 3, 1));

    bamba_speculator *s = make((const int32_t[]){ 1, 2, 3, 4 }, 4);
    assert_int_equal(bamba_speculator_propose(s, guess, 8), 0);
    assert_int_equal(bamba_speculator_accept(s, (const int32_t[]){ 5, 2 }, 2, &err), BAMBA_OK);
    assert_int_equal(bamba_speculator_propose(s, guess, 8), 0);       /* one token is not enough */
    assert_int_equal(bamba_speculator_propose(s, NULL, 8), 0);
    bamba_speculator_free(s);
    s = make(NULL, 0);
    assert_int_equal(bamba_speculator_propose(s, guess, 8), 0);
    assert_int_equal(bamba_speculator_accept(s, NULL, 1, &err), BAMBA_ERR_ARGUMENT);
    bamba_speculator_free(s);
    bamba_speculator_free(NULL);
}

/* Texts at random over few tokens, in pieces, against a search of the whole text. */
static void test_against_search(void **unused)
{
    enum { N = 3000, TRIED = 64, LONGEST = 32 };
    static int32_t text[N];
    uint64_t       random = 1;
    int            n_guessed = 0;

    (void)unused;
    for (int i = 0; i < N; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        text[i] = i > 500 && i % 700 < 60 ? text[i - 400] : (int32_t)(random >> 33) % 40;
    }
    bamba_speculator *s = make(NULL, 0);
    for (int n = 0; n < N; n++) {
        int32_t guess[1], expected = -1;
        int     best = 1, tried = 0;
        assert_int_equal(bamba_speculator_accept(s, &text[n], 1, &err), BAMBA_OK);
        for (int at = n - 1; at >= 1 && tried < TRIED; at--) {
            int same = 0;
            while (same < LONGEST && same <= at && text[at - same] == text[n - same]) same++;
            tried += same >= 2;
            if (same > best) best = same, expected = text[at + 1];
        }
        const size_t found = bamba_speculator_propose(s, guess, 1);
        if (n < 2) continue;
        assert_int_equal(found, expected >= 0);
        if (found) assert_int_equal(guess[0], expected);
        n_guessed += (int)found;
    }
    assert_true(n_guessed > N / 4);
    bamba_speculator_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guesses),
        cmocka_unit_test(test_against_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

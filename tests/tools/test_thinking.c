/* test_thinking.c - thoughts in a text that comes in pieces. */
#include "thinking.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DIM "\033[2m"
#define PLAIN "\033[0m"

/* The text is written in pieces of n bytes, for every n. */
static void check(const char *prompt, const char *text, const char *expected)
{
    for (size_t piece = 1; piece <= strlen(text) + 1; piece++) {
        char *shown = NULL;
        size_t n_shown = 0;
        FILE *to = open_memstream(&shown, &n_shown);
        thinking t;

        assert_non_null(to);
        thinking_begin(&t, to, prompt, strlen(prompt));
        for (size_t i = 0; i < strlen(text); i += piece)
            thinking_write(&t, text + i, strlen(text) - i < piece ? strlen(text) - i : piece);
        thinking_end(&t);
        fclose(to);
        assert_string_equal(shown, expected);
        free(shown);
    }
}

static void thoughts_are_dimmed_with_their_marks(void **state)
{
    (void)state;
    check("", "plain", "plain");
    check("", "<think>a</think>b", DIM "<think>a</think>" PLAIN "b");
    check("", "x[THINK]a[/THINK]b[THINK]c[/THINK]",
          "x" DIM "[THINK]a[/THINK]" PLAIN "b" DIM "[THINK]c[/THINK]" PLAIN);
    check("", "<|START_THINKING|>\n<|END_THINKING|>.",
          DIM "<|START_THINKING|>\n<|END_THINKING|>" PLAIN ".");
    check("", "<|channel>thought\nx<channel|>y", DIM "<|channel>thought\nx<channel|>" PLAIN "y");
}

/* A thought ends with its own mark alone, and at the end of the text. */
static void only_its_own_mark_ends_a_thought(void **state)
{
    (void)state;
    check("", "<think>a[/THINK]<think>b", DIM "<think>a[/THINK]<think>b" PLAIN);
    check("", "</think>a", "</think>a");
    check("", "<think", "<think");
    check("", "<<thin<think>k</think", "<<thin" DIM "<think>k</think" PLAIN);
}

static void a_prompt_can_begin_one(void **state)
{
    (void)state;
    check("<|assistant|>\n<think>\n", "a</think>b", DIM "a</think>" PLAIN "b");
    check("<think>\n\n</think>\n\n", "a<think>", "a" DIM "<think>" PLAIN);
    check("think>", "a", "a");
}

static void marks_are_known_by_their_text(void **state)
{
    (void)state;
    assert_true(thinking_is_mark("[THINK]", 7));
    assert_true(thinking_is_mark("</think>", 8));
    assert_false(thinking_is_mark("</think>", 7));
    assert_false(thinking_is_mark("<|im_end|>", 10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thoughts_are_dimmed_with_their_marks),
        cmocka_unit_test(only_its_own_mark_ends_a_thought),
        cmocka_unit_test(a_prompt_can_begin_one),
        cmocka_unit_test(marks_are_known_by_their_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Damaged templates: each is refused in one line with line and column, or renders; nothing
   hangs. */
#include "bamba.h"

#include "support/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char WHOLE[] =
    "{#- all kinds of things -#}\n{%- macro row(a, b=[1, 2.5], c={'k': none}) -%}\n"
    "{{ a ~ '|' ~ b|join(', ') }}{{ caller() if caller else c['k'] }}{%- endmacro %}\n"
    "{% set ns = namespace(n=0, text='') %}{% for m in messages if m.role is defined recursive %}\n"
    "  {%- if m['content'] is string and not loop.last %}{{ m.content[1:-1:2] }}\n"
    "  {%- elif m.content == 3 or m.content in [1, 2] %}{% continue %}{% else %}{% break %}{% "
    "endif %}\n{% set ns.n = ns.n + (loop.index0 * -2) // 3 %}{% else %}\xC3\xA9{% endfor %}\n"
    "{% set x | upper %}block{{ messages|tojson(indent=2) }}{% endset %}{{ x.split('L', 1)[0] }}\n"
    "{% call(y) row(*[1], **{'b': 2}) %}{{ y }}{% endcall %}{% filter trim %} a {% endfilter %}\n"
    "{% raw %}{{ raw }}{% endraw %}{% with q = 'it\\'s' %}{{ q ** 2 if q < 1 }}{% endwith %}\n"
    "{% generation %}{{ '%s' % ns.n }}{{ \"{:>4}\".format(ns.n) }}{% endgeneration %}{{ "
    "strftime_now('%d') }}\n";

static size_t n_refused;

/* Open and render [n] bytes; a failure must name a place in one line. */
static void try_text(const char *text, size_t n)
{
    static const char           messages[] = "[{\"role\": \"user\", \"content\": \"hello\"}, "
                                             "{\"role\": \"x\"}]";
    bamba_chat_template_options to = BAMBA_CHAT_TEMPLATE_OPTIONS;
    bamba_chat_options          co = BAMBA_CHAT_OPTIONS;
    fault                       memory = { 0 };
    bamba_chat_template        *t = NULL;
    bamba_prompt               *p = NULL;
    bamba_error                 err = { BAMBA_OK, "" };
    unsigned                    line = 0, column = 0;

    to.allocator = fault_allocator(&memory);
    to.text = text;
    to.n_text = n;
    co.max_steps = 100000;
    co.max_bytes = 4 << 20;
    if (bamba_chat_template_open(&t, NULL, NULL, &to, &err) == BAMBA_OK)
        bamba_chat_render(t, messages, sizeof messages - 1, &co, &p, &err);
    if (!p) {
        n_refused++;
        const bool placed = sscanf(err.message, "template:%u:%u: ", &line, &column) == 2
                         && line && column;
        if (err.code == BAMBA_OK || (!placed && !strstr(err.message, "not UTF-8")) ||
            strchr(err.message, '\n'))
            fail_msg("%.*s\n-> %s", (int)n, text, err.message);
    }
    bamba_prompt_free(p);
    bamba_chat_template_free(t);
    assert_int_equal(memory.n_live, 0);
    assert_true(memory.peak_bytes < (16u << 20) + 1100 * n);
}

/* Exact copies, so that a read beyond the end is seen. */
static void try_copy(const char *text, size_t n)
{
    char *copy = malloc(n ? n : 1);

    assert_non_null(copy);
    memcpy(copy, text, n);
    try_text(copy, n);
    free(copy);
}

static void cut_anywhere(void **state)
{
    (void)state;
    n_refused = 0;
    for (size_t n = 0; n < sizeof WHOLE; n++) try_copy(WHOLE, n);
    assert_true(n_refused > 200);
}

static void without_a_byte(void **state)
{
    char text[sizeof WHOLE];

    (void)state;
    n_refused = 0;
    for (size_t i = 0; i + 1 < sizeof WHOLE; i++) {
        memcpy(text, WHOLE, i);
        memcpy(text + i, WHOLE + i + 1, sizeof WHOLE - 2 - i);
        try_copy(text, sizeof WHOLE - 2);
    }
    assert_true(n_refused > 200);
}

static void with_another_byte(void **state)
{
    static const char bytes[] = "{}%'\"()[|.,:=-0a \n\\#\x80";
    char text[sizeof WHOLE];

    (void)state;
    n_refused = 0;
    for (size_t i = 0; i + 1 < sizeof WHOLE; i++) {
        memcpy(text, WHOLE, sizeof WHOLE - 1);
        text[i] = bytes[i % (sizeof bytes)];         /* NUL too */
        try_copy(text, sizeof WHOLE - 1);
    }
    assert_true(n_refused > 200);
}

/* n times a piece, between what is in front and behind. */
static void try_many(const char *front, const char *piece, size_t n, const char *behind)
{
    const size_t n_front = strlen(front), n_piece = strlen(piece), n_behind = strlen(behind);
    char        *text = malloc(n_front + n * n_piece + n_behind);

    assert_non_null(text);
    memcpy(text, front, n_front);
    for (size_t i = 0; i < n; i++) memcpy(text + n_front + i * n_piece, piece, n_piece);
    memcpy(text + n_front + n * n_piece, behind, n_behind);
    try_text(text, n_front + n * n_piece + n_behind);
    free(text);
}

static void deep_and_long(void **state)
{
    enum { N = 100000 };

    (void)state;
    n_refused = 0;
    try_many("{{ ", "(", N, " }}");
    try_many("{{ ", "[", 99, " }}");
    try_many("{{ ", "-", N, "1 }}");
    try_many("{{ ", "not ", N, "1 }}");
    try_many("{{ ", "{1:", 99, " }}");
    try_many("", "{% if 1 %}", N / 2, "");
    try_many("", "{% for x in y %}", N / 2, "");
    try_many("", "{% macro f() %}", N / 2, "");
    try_many("{{ x", ".a", N, " }}");
    try_many("{{ 1", " if 1 else 1", N / 2, " }}");
    try_many("{{ f(", "a=", N, "1) }}");
    assert_int_equal(n_refused, 11);
    try_many("{{ 1", "+1", N, " }}");
    try_many("{{ 1", " and 1", N, " }}");
    try_many("{{ 1", "~1", N, " }}");
    try_many("{{ 1", " < 1", N, " }}");
    try_many("{% if 0 %}", "{% elif 0 %}", N / 2, "{% endif %}");
    try_many("{{ x", "|upper", N, " }}");
    try_many("", "{{ x }}", N, "");
    try_many("", "{# ", N, "");
    try_many("", "{% raw %}", N, "");
    try_many("", " \n", N, "{%- if 1 %}{% endif %}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(without_a_byte),
        cmocka_unit_test(with_another_byte),
        cmocka_unit_test(deep_and_long),
    };
    return cmocka_run_group_tests_name("chat/hostile", tests, NULL, NULL);
}

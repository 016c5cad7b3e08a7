/* The language of chat templates: small templates against what Jinja itself makes of them. */
#include "bamba.h"

#include "chat/reference_cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char MESSAGES[] = "[{\"role\": \"user\", \"content\": \"x\"}]";

/* Render a template with variables, at a moment of its clock if `now` is not 0; NULL if it fails,
   with a message in *err. */
static bamba_prompt *render_at(const char *text, const char *variables, int64_t now,
                               bamba_error *err)
{
    bamba_chat_template_options to = BAMBA_CHAT_TEMPLATE_OPTIONS;
    bamba_chat_options          co = BAMBA_CHAT_OPTIONS;
    bamba_chat_template        *t = NULL;
    bamba_prompt               *p = NULL;

    *err = (bamba_error){ BAMBA_OK, "" };
    to.text = text;
    to.n_text = strlen(text);
    co.variables = variables;
    co.n_variables = strlen(variables);
    co.now = now;
    if (bamba_chat_template_open(&t, NULL, NULL, &to, err) == BAMBA_OK)
        bamba_chat_render(t, MESSAGES, strlen(MESSAGES), &co, &p, err);
    bamba_chat_template_free(t);
    return p;
}

/* A failure's message names a place: "template:3:14: …", in one line. */
static void check_message(const char *text, const bamba_error *err)
{
    unsigned line = 0, column = 0;
    int      n = 0;

    if (sscanf(err->message, "template:%u:%u: %n", &line, &column, &n) != 2 || n == 0 ||
        line == 0 || column == 0 || strchr(err->message, '\n'))
        fail_msg("%s\n-> '%s'", text, err->message);
}

static void templates_render_as_in_jinja(void **state)
{
    const size_t n = sizeof CASES / sizeof *CASES;
    size_t       n_failed = 0, n_wrong = 0;
    bamba_error  err;

    (void)state;
    for (size_t i = 0; i < n; i++) {
        bamba_prompt *p = render_at(CASES[i].text, VARIABLES, 0, &err);
        n_failed += !p;
        if (!p) check_message(CASES[i].text, &err);
        if (!p != !CASES[i].expected || (p && strcmp(p->text, CASES[i].expected) != 0)) {
            n_wrong++;
            print_error("%s\nexpected %s\nfound    %s%s\n\n", CASES[i].text,
                        CASES[i].expected ? CASES[i].expected : "a failure", p ? p->text : "",
                        err.message);
        }
        bamba_prompt_free(p);
    }
    assert_int_equal(n_wrong, 0);
    assert_true(n > 200 && n_failed > 100 && n_failed < n / 2);
}

/* Each format of the clock against Python's strftime. */
static void dates_are_written_as_strftime_does(void **state)
{
    const size_t n = sizeof CLOCK / sizeof *CLOCK;
    size_t       n_wrong = 0;
    bamba_error  err;

    (void)state;
    setenv("TZ", "UTC", 1);               /* of %s */
    for (size_t i = 0; i < n; i++) {
        char variables[300];
        snprintf(variables, sizeof variables, "{\"f\": \"%s\"}", CLOCK[i].format);
        bamba_prompt *p = render_at("{{ strftime_now(f) }}", variables, CLOCK[i].now, &err);
        if (!p || strcmp(p->text, CLOCK[i].expected) != 0) {
            n_wrong++;
            print_error("%s\nexpected %s\nfound    %s%s\n\n", CLOCK[i].format, CLOCK[i].expected,
                        p ? p->text : "", err.message);
        }
        bamba_prompt_free(p);
    }
    assert_int_equal(n_wrong, 0);
    assert_true(n > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates_render_as_in_jinja),
        cmocka_unit_test(dates_are_written_as_strftime_does),
    };
    return cmocka_run_group_tests_name("chat/render", tests, NULL, NULL);
}

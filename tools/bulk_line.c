/* bulk_line.c - a line of a file of prompts: an object of JSON. */
#include "bulk_line.h"

#include "console.h"
#include "json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_NAME = 40, MOST_NUMBER = 40 };

int bulk_line_fail(const bulk_line *l, const char *format, ...)
{
    char what[400];
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return console_fail("%s:%zu: %s", l->file, l->number, what);
}

static int fail_value(const bulk_line *l, const char *key, const char *expected, json_slice found)
{
    return bulk_line_fail(l, "\"%s\": expected %s, found %.*s", key, expected,
                          (int)(found.n < 60 ? found.n : 60), found.at);
}

static bool is_integer(json_slice v)
{
    size_t i = v.n > 0 && v.at[0] == '-';

    if (i == v.n || v.n > 19 || (v.at[i] == '0' && v.n > i + 1)) return false;
    while (i < v.n && v.at[i] >= '0' && v.at[i] <= '9') i++;
    return i == v.n;
}

/* ---- values ---- */

static int read_text(bulk_line *l, const char *key, json_slice v, text_buffer *out)
{
    const char *problem;

    if (json_read_string(out, v.at, v.n, &problem)) return EXIT_SUCCESS;
    return problem ? bulk_line_fail(l, "\"%s\": %s", key, problem) : EXIT_FAILURE;
}

static int read_id(bulk_line *l, json_slice v)
{
    text_buffer text = { 0 };

    l->id = v;
    if (is_integer(v)) return EXIT_SUCCESS;
    if (v.at[0] != '"') return fail_value(l, "id", "a text or an integer", v);
    const int code = read_text(l, "id", v, &text);
    free(text.bytes);
    return code;
}

/* Append a text that ends a text; there is room for it, so that items stay where they are. */
static int add_stop(bulk_line *l, json_slice v)
{
    option_texts *s = &l->stops;
    const size_t begin = s->text.n;
    const char **items = realloc(s->items, (s->n + 1) * sizeof *items);

    if (!items) return console_fail("out of memory");
    s->items = items;
    const int code = read_text(l, "stop", v, &s->text);
    if (code != EXIT_SUCCESS) return code;
    if (s->text.n == begin || memchr(s->text.bytes + begin, '\0', s->text.n - begin))
        return fail_value(l, "stop", "text without a zero byte", v);
    if (!text_append(&s->text, "", 1)) return EXIT_FAILURE;
    s->items[s->n++] = s->text.bytes + begin;
    return EXIT_SUCCESS;
}

static int read_stops(bulk_line *l, json_slice v)
{
    json_walk w = JSON_WALK(v.at, v.n);
    json_slice element;
    const char *problem;
    int code = EXIT_SUCCESS;

    l->has_stops = true;
    l->stops.n = l->stops.text.n = 0;
    /* Texts with a zero byte each are shorter than they stand in the line, in quotes. */
    if (!text_reserve(&l->stops.text, v.n + 1)) return EXIT_FAILURE;
    if (v.at[0] == '"') return add_stop(l, v);
    while (code == EXIT_SUCCESS && json_next_element(&w, &element, &problem))
        code = add_stop(l, element);
    if (code == EXIT_SUCCESS && problem)
        return fail_value(l, "stop", "a text or a list of texts", v);
    return code;
}

static int read_option(bulk_line *l, const char *key, json_slice v)
{
    char number[MOST_NUMBER];
    int64_t whole;

    snprintf(number, sizeof number, "%.*s", (int)(v.n < MOST_NUMBER ? v.n : MOST_NUMBER), v.at);
    if (strcmp(key, "n_predict") == 0) {
        if (!args_parse_int(number, &whole) || whole < -1 || whole > INT_MAX)
            return fail_value(l, key, "an integer, -1 or more", v);
        l->n_predict = (int)whole;
        return EXIT_SUCCESS;
    }
    if (!sampling_has(key))
        return bulk_line_fail(l, "unknown member \"%s\": expected prompt, messages, id, n_predict, "
                                 "stop, or an option that says how tokens are chosen", key);
    if (!sampling_set(&l->how, key, number))
        return fail_value(l, key, "a number as the option takes it", v);
    l->chooses = true;
    if (strcmp(key, "seed") == 0) l->has_seed = true;
    return EXIT_SUCCESS;
}

static int read_messages(bulk_line *l, json_slice v)
{
    l->messages = v;
    return v.at[0] == '[' ? EXIT_SUCCESS : fail_value(l, "messages", "a list", v);
}

/* ---- the line ---- */

static int read_member(bulk_line *l, json_slice key, json_slice value, bool *has_prompt)
{
    text_buffer name = { 0 };
    int code = read_text(l, "name", key, &name);

    if (code == EXIT_SUCCESS && !text_append(&name, "", 1)) code = EXIT_FAILURE;
    if (code != EXIT_SUCCESS) goto done;
    if (strcmp(name.bytes, "prompt") == 0) {
        *has_prompt = true;
        l->prompt.n = 0;
        code = read_text(l, "prompt", value, &l->prompt);
    } else if (strcmp(name.bytes, "messages") == 0) {
        code = read_messages(l, value);
    } else if (strcmp(name.bytes, "id") == 0) {
        code = read_id(l, value);
    } else if (strcmp(name.bytes, "stop") == 0) {
        code = read_stops(l, value);
    } else {
        code = read_option(l, name.bytes, value);
    }
done:
    free(name.bytes);
    return code;
}

int bulk_line_read(bulk_line *l, json_slice text)
{
    json_walk w = JSON_WALK(text.at, text.n);
    json_slice key, value;
    const char *problem;
    bool has_prompt = false;
    int code = EXIT_SUCCESS;

    while (code == EXIT_SUCCESS && json_next_member(&w, &key, &value, &problem))
        code = read_member(l, key, value, &has_prompt);
    if (code != EXIT_SUCCESS) return code;
    if (problem) return bulk_line_fail(l, "byte %zu: %s", w.i + 1, problem);
    if (has_prompt == (l->messages.at != NULL))
        return bulk_line_fail(l, has_prompt ? "either prompt or messages, not both"
                                            : "expected a member prompt or messages");
    return EXIT_SUCCESS;
}

void bulk_line_free(bulk_line *l)
{
    free(l->prompt.bytes);
    option_texts_free(&l->stops);
}

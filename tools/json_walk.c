/* json_walk.c - where the parts of a JSON text stand, without reading them. */
#include "json_walk.h"

#include <string.h>

static bool is_one_of(char c, const char *set)
{
    for (; *set; set++)
        if (c == *set) return true;
    return false;
}

size_t json_skip_spaces(const char *s, size_t n, size_t i)
{
    while (i < n && is_one_of(s[i], " \t\r\n")) i++;
    return i;
}

static size_t skip_string(const char *s, size_t n, size_t i)
{
    for (i++; i < n && s[i] != '"'; i++)
        if (s[i] == '\\') i++;
    return i < n ? i + 1 : n;
}

size_t json_skip_value(const char *s, size_t n, size_t i)
{
    int depth = 0;

    while (i < n) {
        const char c = s[i];
        if (depth == 0 && is_one_of(c, ",:]}")) break;
        if (c == '"') {
            i = skip_string(s, n, i);
            continue;
        }
        depth += c == '[' || c == '{';
        depth -= c == ']' || c == '}';
        i++;
    }
    while (i > 0 && is_one_of(s[i - 1], " \t\r\n")) i--;
    return i;
}

bool json_is_name(json_slice quoted, const char *name)
{
    return quoted.n == strlen(name) + 2 && memcmp(quoted.at + 1, name, quoted.n - 2) == 0;
}

/* Go to the next part of what stands between `open` and `close`. False: the end, or *problem. */
static bool step(json_walk *w, char open, char close, const char **problem)
{
    const char  *s = w->text.at;
    const size_t n = w->text.n;
    const bool   first = w->i == 0;

    *problem = first ? open == '{' ? "expected a JSON object" : "expected a JSON list"
                     : "expected a comma or the end";
    w->i = json_skip_spaces(s, n, w->i);
    if (w->i == n) return false;
    if (first) {
        if (s[w->i] != open) return false;
        w->i = json_skip_spaces(s, n, w->i + 1);
    }
    if (w->i < n && s[w->i] == close) {
        w->i = json_skip_spaces(s, n, w->i + 1);
        *problem = w->i == n ? NULL : "expected nothing behind the end";
        return false;
    }
    if (!first) {
        if (s[w->i] != ',') return false;
        w->i = json_skip_spaces(s, n, w->i + 1);
    }
    return true;
}

static bool take_value(json_walk *w, json_slice *value, const char **problem)
{
    const char  *s = w->text.at;
    const size_t n = w->text.n, end = json_skip_value(s, n, w->i);

    *problem = "expected a value";
    if (end <= w->i) return false;
    *value = (json_slice){ s + w->i, end - w->i };
    w->i = end;
    return true;
}

bool json_next_member(json_walk *w, json_slice *key, json_slice *value, const char **problem)
{
    if (!step(w, '{', '}', problem)) return false;
    const char *s = w->text.at;

    *problem = "expected a name in quotes and a colon";
    if (w->i >= w->text.n || s[w->i] != '"') return false;
    const size_t end = skip_string(s, w->text.n, w->i);
    *key = (json_slice){ s + w->i, end - w->i };
    w->i = json_skip_spaces(s, w->text.n, end);
    if (w->i >= w->text.n || s[w->i] != ':') return false;
    w->i = json_skip_spaces(s, w->text.n, w->i + 1);
    return take_value(w, value, problem);
}

bool json_next_element(json_walk *w, json_slice *value, const char **problem)
{
    return step(w, '[', ']', problem) && take_value(w, value, problem);
}

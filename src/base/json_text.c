/* json_text.c - JSON as text: writing strings, and changing one member of an object. */
#include "base/json_text.h"

#include <stdbool.h>
#include <string.h>

void bb_print_quoted(bb_printer *p, const char *text)
{
    bb_print(p, "\"");
    while (*text) {
        const char *plain = text;
        while (*text && *text != '"' && *text != '\\' && (unsigned char)*text >= 0x20) text++;
        bb_print(p, "%.*s", (int)(text - plain), plain);
        if (*text == '"' || *text == '\\') bb_print(p, "\\%c", *text++);
        else if (*text) bb_print(p, "\\u%04x", (unsigned)(unsigned char)*text++);
    }
    bb_print(p, "\"");
}

/* Places in a text, as offsets. */
typedef struct member { size_t key, key_end, value, end; } member;

static size_t skip_space(const char *s, size_t n, size_t i)
{
    while (i < n && strchr(" \t\r\n", s[i])) i++;
    return i;
}

/* Behind the string that begins at i. */
static size_t skip_string(const char *s, size_t n, size_t i)
{
    for (i++; i < n && s[i] != '"'; i++)
        if (s[i] == '\\') i++;
    return i < n ? i + 1 : n;
}

/* Behind the value that begins at i. */
static size_t skip_value(const char *s, size_t n, size_t i)
{
    size_t depth = 0;

    while (i < n) {
        if (s[i] == '"') i = skip_string(s, n, i);
        else if (depth == 0 && strchr(" \t\r\n,]}", s[i])) break;
        else if (s[i] == '{' || s[i] == '[') depth++, i++;
        else if (s[i] == '}' || s[i] == ']') depth--, i++;
        else i++;
        if (depth == 0 && i < n && strchr("}]\"", s[i - 1])) break;
    }
    return i;
}

/* The member whose key begins at m->key or behind it; false at the end of the object. */
static bool read_member(const char *s, size_t n, member *m)
{
    m->key = skip_space(s, n, m->key);
    if (m->key >= n || s[m->key] != '"') return false;
    m->key_end = skip_string(s, n, m->key);
    m->value = skip_space(s, n, skip_space(s, n, m->key_end) + 1);
    m->end = skip_value(s, n, m->value);
    return true;
}

static void print_part(bb_printer *p, const char *s, size_t from, size_t to)
{
    bb_print(p, "%.*s", (int)(to - from), s + from);
}

void bb_print_with_member(bb_printer *p, const char *s, size_t n, const char *key,
                          const char *value)
{
    const size_t open = skip_space(s, n, 0) + 1;      /* behind the brace */
    const size_t n_key = strlen(key);
    size_t       before = open;                       /* end of the member before, or the brace */
    member       m = { .key = open };
    bool         is_found = false;

    while (read_member(s, n, &m)) {
        is_found = m.key_end - m.key == n_key + 2 && memcmp(s + m.key + 1, key, n_key) == 0;
        if (is_found) break;
        before = m.end;
        m.key = skip_space(s, n, m.end);
        if (m.key >= n || s[m.key] != ',') break;
        m.key++;
    }
    if (is_found && value) {
        print_part(p, s, 0, m.value);
        bb_print(p, "%s", value);
        print_part(p, s, m.end, n);
    } else if (is_found) {
        const size_t next = skip_space(s, n, m.end);
        const bool   is_first = before == open;
        print_part(p, s, 0, before);
        print_part(p, s, is_first && next < n && s[next] == ',' ? next + 1 : m.end, n);
    } else if (value) {
        print_part(p, s, 0, before);
        bb_print(p, "%s\n  \"%s\": %s%s", before == open ? "" : ",", key, value,
                 before == open ? "\n" : "");
        print_part(p, s, before, n);
    } else {
        print_part(p, s, 0, n);
    }
}

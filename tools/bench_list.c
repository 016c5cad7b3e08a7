/* bench_list.c - lists and ranges as llama-bench has them: a,b first-last+step first-last*n. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

/* Reads a number at *at, which moves behind it. */
static bool read_number(const char **at, int64_t *value)
{
    char *end;

    if (**at < '0' || **at > '9') return false;
    *value = strtoll(*at, &end, 10);
    *at = end;
    return true;
}

static bool read_range(const char **at, int64_t *first, int64_t *last, int64_t *step, bool *times)
{
    if (!read_number(at, first)) return false;
    *last = *first;
    if (**at != '-') return true;
    ++*at;
    if (!read_number(at, last)) return false;
    *times = **at == '*';
    if (!*times && **at != '+') return true;
    ++*at;
    return read_number(at, step) && *step >= (*times ? 2 : 1);
}

static bool read_word(const char **at, const char *const *words, int64_t *index)
{
    const size_t n = strcspn(*at, ",");

    for (*index = 0; words[*index]; ++*index)
        if (strlen(words[*index]) == n && memcmp(words[*index], *at, n) == 0) {
            *at += n;
            return true;
        }
    return false;
}

/* Reads one item of the list, up to a comma or the end; on failure *at may stay at its begin. */
static bool read_item(const char **at, int lo, int hi, const char *const *words, bench_list *list)
{
    int64_t first, last, step = 1;
    bool times = false;

    if (words) {
        if (!read_word(at, words, &first)) return false;
        last = first;
    } else if (!read_range(at, &first, &last, &step, &times)) {
        return false;
    }
    if (first < lo || last < first || last > hi || (times && first == 0)) return false;
    for (int64_t v = first; v <= last; v = times ? v * step : v + step) {
        if (list->n == BENCH_MOST) return false;
        list->value[list->n++] = (int)v;
        if (v > list->largest) list->largest = (int)v;
    }
    return true;
}

int bench_read_list(const command *self, const char *name, const char *text, int lo, int hi,
                    const char *const *words, bench_list *list)
{
    const char *at = text;

    *list = (bench_list){ .n = 0 };
    while (read_item(&at, lo, hi, words, list)) {
        if (*at == '\0') return ARGS_READ;
        if (*at++ != ',') break;
    }
    if (words)
        return args_wrong(self, "%s: unknown '%.*s' in '%s'", name, (int)strcspn(at, ","), at,
                          text);
    return args_wrong(self, "%s: expected at most %d integers from %d to %d as in 1,2,4 or "
                      "0-8192+1024 or 1-64*2, found '%s'", name, BENCH_MOST, lo, hi, text);
}

/* bench_list.c - lists and ranges as llama-bench has them: a,b first-last+step first-last*n. */
#include "bench.h"

#include "console.h"

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

/* Reads one item of the list, up to a comma or the end. */
static bool read_item(const char **at, int lo, int hi, bench_list *list)
{
    int64_t first, last, step = 1;
    bool    times = false;

    if (!read_number(at, &first)) return false;
    last = first;
    if (**at == '-') {
        ++*at;
        if (!read_number(at, &last)) return false;
        if (**at == '+' || **at == '*') {
            times = *(*at)++ == '*';
            if (!read_number(at, &step) || step < (times ? 2 : 1)) return false;
        }
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
                    bench_list *list)
{
    const char *at = text;
    bool valid;

    *list = (bench_list){ .n = 0 };
    do valid = read_item(&at, lo, hi, list);
    while (valid && *at == ',' && *++at);
    if (valid && *at == '\0' && at > text && at[-1] != ',') return ARGS_READ;
    return args_wrong(self, "%s: expected at most %d integers from %d to %d as in 1,2,4 or "
                      "0-8192+1024 or 1-64*2, found '%s'", name, BENCH_MOST, lo, hi, text);
}

int bench_read_words(const command *self, const char *name, const char *text,
                     const char *const *words, bench_list *list)
{
    list->n = 0;
    for (const char *at = text;;) {
        const size_t n = strcspn(at, ",");
        int found = -1;

        for (int i = 0; words[i]; i++)
            if (strlen(words[i]) == n && memcmp(words[i], at, n) == 0) found = i;
        if (found < 0 || list->n == BENCH_MOST)
            return args_wrong(self, "%s: unknown '%.*s' in '%s'", name, (int)n, at, text);
        list->value[list->n++] = found;
        if (at[n] == '\0') return ARGS_READ;
        at += n + 1;
    }
}

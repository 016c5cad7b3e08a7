/* bench_list.c - lists and ranges as llama-bench has them: a,b first-last+step first-last*n. */
#include "bench.h"

#include "help.h"

#include <string.h>

/* Reads a number or range at *at, which moves behind it: "first", "first-last", and "+step" or
   "*factor" behind that. */
static bool read_range(const char **at, int lo, int hi, bench_list *list)
{
    long long first, last, step = 1;
    char sign = '+';
    int n_bytes = 0;
    const int found = sscanf(*at, "%lld%n-%lld%n%c%lld%n", &first, &n_bytes, &last, &n_bytes,
                             &sign, &step, &n_bytes);
    const bool times = found == 4 && sign == '*';

    if (found < 1) return false;
    if (found < 2) last = first;
    if (found == 4 && !times && sign != '+') return false;
    if (first < lo || last < first || last > hi || step > hi || step < (times ? 2 : 1) ||
        (times && first == 0))
        return false;
    *at += n_bytes;
    for (long long v = first; v <= last; v = times ? v * step : v + step) {
        if (list->n == BENCH_MOST) return false;
        list->value[list->n++] = (int)v;
        if (v > list->largest) list->largest = (int)v;
    }
    return true;
}

/* Reads a name at *at, which moves behind it, as its index in `words`. */
static bool read_word(const char **at, const char *const *words, bench_list *list)
{
    const size_t n = strcspn(*at, ",");

    for (int i = 0; words[i] && list->n < BENCH_MOST; i++)
        if (strlen(words[i]) == n && memcmp(words[i], *at, n) == 0) {
            list->value[list->n++] = i;
            *at += n;
            return true;
        }
    return false;
}

int bench_read_list(const command *self, const char *name, const char *text, int lo, int hi,
                    const char *const *words, bench_list *list)
{
    const char *at = text;
    char known[128] = "";

    while (words ? read_word(&at, words, list) : read_range(&at, lo, hi, list)) {
        if (*at == '\0') return ARGS_READ;
        if (*at++ != ',') break;
    }
    if (!words)
        return args_wrong(self, "%s: expected at most %d integers from %d to %d as in 1,2,4 or "
                          "0-8192+1024 or 1-64*2, found '%s'", name, BENCH_MOST, lo, hi, text);
    help_join(known, sizeof known, words, ", ");
    return args_wrong(self, "%s: expected %s, or some of them with commas between, found '%s'",
                      name, known, text);
}

/* fuzz_words.c - the input is the words of a command line, with a NUL after each, read by a table
 * that has an option of each kind. */
#include "target.h"

#include "args.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    enum { MOST = 64 };
    static const char *const words[] = { "one", "two", "three", NULL };
    bool        flag = false, unflag = true;
    int         integer = 5, word = 1;
    int64_t     wide = 0;
    double      number = 0.5;
    const char *name = "";
    arg_list    list = { NULL, 0 };
    const arg   table[] = {
        { .names = "-f, --flag", .help = "a flag", .kind = ARG_FLAG, .target = &flag },
        { .names = "--no-flag", .help = "none", .kind = ARG_UNFLAG, .target = &unflag },
        { .names = "--ignored", .help = "", .kind = ARG_IGNORED },
        { .names = "--refused", .help = "why", .kind = ARG_REFUSED },
        { .names = "-n, --integer", .value = "N", .help = "an integer", .kind = ARG_INT,
          .target = &integer, .lo = -1, .hi = 1000 },
        { .names = "--wide", .value = "N", .help = "a wide one", .kind = ARG_INT64, .target = &wide,
          .lo = 0, .hi = 1e15 },
        { .names = "--temp", .value = "T", .help = "a number", .kind = ARG_FLOAT, .target = &number,
          .lo = 0, .hi = 10 },
        { .names = "-m, --model", .value = "DIR", .help = "a text", .kind = ARG_TEXT,
          .target = &name },
        { .names = "--stop", .value = "TEXT", .help = "texts", .kind = ARG_LIST, .target = &list },
        { .names = "--type", .value = "TYPE", .help = "a word", .kind = ARG_WORD, .target = &word,
          .words = words },
        { .names = NULL },
    };
    const command self = { .name = "fuzz", .summary = "", .usage = "" };
    char         *argv[MOST + 1] = { strdup("fuzz") };
    int           argc = 1;
    input         in = { data, n };

    for (; in.n && argc < MOST; argc++) {
        const input part = target_part(&in);
        argv[argc] = strndup((const char *)part.data, part.n);
    }
    args_read(&self, table, argc, argv);
    if (integer < -1 || integer > 1000 || wide < 0 || !(number >= 0 && number <= 10) || word < 0 ||
        word > 2 || !name)
        abort();
    for (size_t i = 0; i < list.n; i++)
        if (!list.items[i]) abort();
    free(list.items);
    while (argc > 0) free(argv[--argc]);
    return 0;
}

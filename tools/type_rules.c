/* type_rules.c - the values of --type-of: REGEX=TYPE, which weights get which type. */
#include "type_rules.h"

#include "console.h"
#include "setup.h"

#include <stdlib.h>
#include <string.h>

static bamba_type find_type(const char *name)
{
    for (int i = 1; setup_weight_types[i]; i++)
        if (strcmp(setup_weight_types[i], name) == 0) return (bamba_type)i;
    return BAMBA_TYPE_DEFAULT;
}

static bamba_type read_type(const char *text)
{
    const char *equals = strrchr(text, '=');
    return equals ? find_type(equals + 1) : BAMBA_TYPE_DEFAULT;
}

const char *type_rules_expect(const char *text)
{
    return read_type(text) != BAMBA_TYPE_DEFAULT ? NULL
                                                 : "REGEX=TYPE with one of the types of --type";
}

int type_rules_read(type_rules *r, const arg_list *given)
{
    *r = (type_rules){ NULL, 0 };
    if (given->n == 0) return EXIT_SUCCESS;
    if (!(r->rule = malloc(given->n * sizeof *r->rule))) return console_fail("out of memory");
    for (size_t i = 0; i < given->n; i++) {
        const char *text = given->items[i], *equals = strrchr(text, '=');   /* good when read */
        char *pattern = malloc((size_t)(equals - text) + 1);
        if (!pattern) return console_fail("out of memory");
        memcpy(pattern, text, (size_t)(equals - text));
        pattern[equals - text] = '\0';
        r->rule[r->n++] = (bamba_type_rule){ pattern, read_type(text) };
    }
    return EXIT_SUCCESS;
}

void type_rules_free(type_rules *r)
{
    for (size_t i = 0; i < r->n; i++) free((char *)(uintptr_t)r->rule[i].pattern);
    free(r->rule);
    *r = (type_rules){ NULL, 0 };
}

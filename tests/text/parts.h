/* parts.h - what the tests of text/ share: the default allocator, JSON from a string. */
#ifndef TEXT_PARTS_H
#define TEXT_PARTS_H

#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static inline bb_allocator host(void)
{
    bb_allocator a;
    assert_int_equal(bb_allocator_resolve(&a, NULL, NULL), BAMBA_OK);
    return a;
}

static inline bb_json_doc *parse(const bb_allocator *a, const char *text)
{
    bb_json_doc *doc;
    bamba_error  err;
    if (bb_json_parse(&doc, a, "part", text, strlen(text), 0, &err) != BAMBA_OK)
        fail_msg("%s: %s", text, err.message);
    return doc;
}

/* A status and message as wanted; word NULL: BAMBA_OK. */
static inline void expect_status(const char *what, bb_status status, const bamba_error *err,
                                 bb_status wanted, const char *word)
{
    if (status != wanted) fail_msg("%s: status %d: %s", what, (int)status, err->message);
    if (word && !strstr(err->message, word)) fail_msg("%s: %s", what, err->message);
}

#endif

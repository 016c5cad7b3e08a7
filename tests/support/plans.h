/* plans.h - config.json files with a change: what their plan shows, and that they are refused.
 *
 * Errors:  a failure of the test.
 */
#ifndef SUPPORT_PLANS_H
#define SUPPORT_PLANS_H

#include "support/config.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct refusal {
    config_member change;
    const char   *name;                   /* in the message */
    bamba_status  status;                 /* BAD or CANNOT */
} refusal;

#define BAD    BAMBA_ERR_FORMAT
#define CANNOT BAMBA_ERR_UNSUPPORTED

/* Each of n changes is refused as config_not_refused says. */
void expect_refusals(const config_member *base, const refusal *list, size_t n);

/* `words` are in what config_describe says with one member changed (value NULL: left out), or with
   all of `changes`. */
void expect_in_plan(const config_member *base, const char *key, const char *value,
                    const char *words);
void expect_in_changed_plan(const config_member *base, const config_member *changes,
                            const char *words);

/* Whether the mix behind q4 keeps what a pattern stands for in q8: then it is as large as if q8
   were asked for. It must stand for some weights. */
bool is_kept_in_q8(const config_member *base, const config_member *changes, const char *pattern);

#endif

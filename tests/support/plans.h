/* plans.h - config.json files with a change: what their plan shows, and that they are refused.
 *
 * Errors:  a failure of the test.
 */
#ifndef SUPPORT_PLANS_H
#define SUPPORT_PLANS_H

#include "support/config.h"

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

#endif

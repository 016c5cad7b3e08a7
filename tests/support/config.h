/* config.h - config.json files that tests write from lists of members, some of them changed.
 *
 * Not:     what the members mean.
 * Errors:  abort(), as in tempdir.h.
 */
#ifndef SUPPORT_CONFIG_H
#define SUPPORT_CONFIG_H

#include "bamba.h"

typedef struct config_member {
    const char *key, *value;              /* the value as JSON text; NULL: left out */
} config_member;

/* Lists end with a member whose key is NULL. Members of `changes` (may be NULL) replace those of
   base, or are added. The text is freed by the caller. */
char *config_text(const config_member *base, const config_member *changes);

/* Open it with bamba_model_open_config. */
bamba_status config_open(const config_member *base, const config_member *changes,
                         bamba_model **out, bamba_error *err);

/* What bamba_model_describe says of it, or the error's message; freed by the caller. */
char *config_describe(const config_member *base, const config_member *changes);

/* Why this change is not refused with this status by one line that names the file and `name`;
   NULL if it is. Static storage. */
const char *config_not_refused(const config_member *base, config_member change, const char *name,
                               bamba_status status);

#endif

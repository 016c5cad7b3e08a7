/* options.h - option structs that carry their own size. */
#ifndef BB_BASE_OPTIONS_H
#define BB_BASE_OPTIONS_H

#include "base/error.h"

/* Copy the caller's struct over our defaults. given: NULL, or a struct whose first member is its
   size; v1_bytes: the size of the first release. Members it does not have keep our defaults;
   members we do not know must be zero. */
bb_status bb_read_options(void *own, size_t own_bytes, size_t v1_bytes, const void *given,
                          const char *what, bamba_error *err);

#endif

/* adapters.h - the adapters of a session.
 *
 * Owns:    checking and copying a list of them; a name for it.
 * Not:     an adapter itself (adapter.c), products (mixer/lora.h).
 */
#ifndef BB_ADAPTERS_H
#define BB_ADAPTERS_H

#include "objects.h"

/* Give the session this list in place of its own, whatever it has been fed. On failure it keeps its
   own. */
bb_status bb_adapters_give(bamba_session *s, const bamba_adapter_use *use, size_t n,
                           bamba_error *err);

/* Give `to` the adapters of `from`; false without memory. */
bool bb_adapters_copy(bamba_session *to, const bamba_session *from);

/* Let the pass know of the adapters of its sessions [n], and have room for them. */
bb_status bb_adapters_prepare(bamba_engine *e, bamba_session *const *session, int n, bb_pass *pass,
                              bamba_error *err);

#endif

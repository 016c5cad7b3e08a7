/* refused.h - what the library answers about a file that it must refuse.
 *
 * Errors:  a failure of the test.
 */
#ifndef SUPPORT_REFUSED_H
#define SUPPORT_REFUSED_H

#include "bamba.h"

/* `status` and err are of a refused file (FORMAT, UNSUPPORTED or IO), in one printable line that
   has both words. what: the case, for the test's own message. */
void expect_line(const char *what, bamba_status status, const bamba_error *err, const char *word,
                 const char *more);

#endif

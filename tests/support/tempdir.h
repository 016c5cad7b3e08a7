/* tempdir.h - directories that live as long as a test.
 *
 * Owns:    making and removing a directory, small files in it.
 * Errors:  a test cannot go on without its files: a message on stderr and abort().
 *
 * Names may contain one level of sub-directory only if the test makes it. Strings that are
 * returned are freed by the caller.
 */
#ifndef SUPPORT_TEMPDIR_H
#define SUPPORT_TEMPDIR_H

#include <stddef.h>

/* Under $TMPDIR or /tmp. */
char *tempdir_make(void);

/* With everything in it; frees the name. NULL is allowed. */
void tempdir_remove(char *dir);

/* cmocka's setup and teardown for a test that has a directory of its own: `tempdir`. */
extern char *tempdir;
int          tempdir_enter(void **state);
int          tempdir_leave(void **state);

/* Remove the files of a directory and keep it. */
void tempdir_empty(const char *dir);

char *tempdir_path(const char *dir, const char *name);
void  tempdir_write(const char *dir, const char *name, const void *bytes, size_t n);
void  tempdir_write_text(const char *dir, const char *name, const char *text);
void  tempdir_delete(const char *dir, const char *name);

/* The whole file with a NUL behind it; n may be NULL. */
unsigned char *tempdir_read(const char *dir, const char *name, size_t *n);

#endif

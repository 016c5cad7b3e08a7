/* conversation_file.h - a conversation in a file, with the session that has read it.
 *
 * Owns:    the form of the extras of such session files: the messages, and the text that was read.
 * Not:     the session itself (bamba_session_save), conversations as JSON alone (messages.h).
 * Errors:  reported here; callers pass the exit code on. What fails leaves the messages as they
 *          were; a save that fails may leave the session at an earlier position, or empty.
 */
#ifndef BAMBA_TOOLS_CONVERSATION_FILE_H
#define BAMBA_TOOLS_CONVERSATION_FILE_H

#include "conversation.h"

/* Whether a name is that of such a file: it ends with ".safetensors". */
bool conversation_file_is(const char *path);

/* First the session goes back to where the next turn will go on (conversation_settle), so that a
   loaded one, which cannot go back without reading all again, need not. */
int conversation_save(conversation *c, const char *path);

/* Go on with a saved conversation. The next turn of a user reads only what is new. Answering the
   last saved turn again (/regen) reads the whole conversation: the file has no earlier state. */
int conversation_load(conversation *c, const char *path);

#endif

/* chat_commands.h - what a user of a dialogue says to the program: lines that begin with a slash.
 *
 * Errors:  reported here. What a user typed wrong, and files that cannot be read or written, are
 *          told, change nothing and make d->failed true: EXIT_SUCCESS, the dialogue goes on.
 */
#ifndef BAMBA_TOOLS_CHAT_COMMANDS_H
#define BAMBA_TOOLS_CHAT_COMMANDS_H

#include "dialogue.h"

/* text: "/save FILE". */
int chat_command_run(dialogue *d, char *text);

#endif

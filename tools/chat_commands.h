/* chat_commands.h - what a user of a dialogue says to the program: lines that begin with a slash.
 *
 * Errors:  reported here, also what a user typed wrong; then nothing has changed.
 */
#ifndef BAMBA_TOOLS_CHAT_COMMANDS_H
#define BAMBA_TOOLS_CHAT_COMMANDS_H

#include "dialogue.h"

/* text: "/save FILE". */
int chat_command_run(dialogue *d, char *text);

#endif

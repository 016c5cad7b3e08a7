/* chat_commands.h - what a user of a dialogue says to the program: lines that begin with a slash.
 *
 * Errors:  what a user typed wrong is told, and the dialogue goes on: EXIT_SUCCESS.
 */
#ifndef BAMBA_TOOLS_CHAT_COMMANDS_H
#define BAMBA_TOOLS_CHAT_COMMANDS_H

#include "dialogue.h"

/* text: "/save FILE". */
int chat_command_run(dialogue *d, char *text);

#endif

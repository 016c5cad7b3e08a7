/* commands.h - the subcommands, each in a file cmd_NAME.c. */
#ifndef BAMBA_TOOLS_COMMANDS_H
#define BAMBA_TOOLS_COMMANDS_H

#include "args.h"

int cmd_generate(const command *self, int argc, char **argv);
int cmd_info(const command *self, int argc, char **argv);
int cmd_tokenize(const command *self, int argc, char **argv);
int cmd_perplexity(const command *self, int argc, char **argv);
int cmd_logits(const command *self, int argc, char **argv);
int cmd_bench(const command *self, int argc, char **argv);

#endif

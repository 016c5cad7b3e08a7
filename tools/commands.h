/* commands.h - the subcommands, each in a file cmd_NAME.c; the table of them is in bamba.c. */
#ifndef BAMBA_TOOLS_COMMANDS_H
#define BAMBA_TOOLS_COMMANDS_H

#include "args.h"

int cmd_generate(const command *self, int argc, char **argv);
int cmd_chat(const command *self, int argc, char **argv);
int cmd_info(const command *self, int argc, char **argv);
int cmd_tokenize(const command *self, int argc, char **argv);
int cmd_perplexity(const command *self, int argc, char **argv);
int cmd_compare(const command *self, int argc, char **argv);
int cmd_logits(const command *self, int argc, char **argv);
int cmd_embed(const command *self, int argc, char **argv);
int cmd_score(const command *self, int argc, char **argv);
int cmd_bench(const command *self, int argc, char **argv);
int cmd_merge(const command *self, int argc, char **argv);
int cmd_quantize(const command *self, int argc, char **argv);
int cmd_calibrate(const command *self, int argc, char **argv);
int cmd_models(const command *self, int argc, char **argv);
int cmd_help(const command *self, int argc, char **argv);

extern const command commands[];          /* a NULL name ends it */

/* The command of that name; NULL if there is none, which is reported with the nearest name. */
const command *commands_find(const char *name);

/* Let each command give its table of options to fn. */
void commands_visit(args_visitor *fn);

#endif

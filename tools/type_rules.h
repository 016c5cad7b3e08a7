/* type_rules.h - the values of --type-of: REGEX=TYPE, which weights get which type.
 *
 * Owns:    splitting them, and the list that the library reads.
 * Errors:  reported here. Free in any case.
 */
#ifndef BAMBA_TOOLS_TYPE_RULES_H
#define BAMBA_TOOLS_TYPE_RULES_H

#include "args.h"
#include "bamba.h"

typedef struct type_rules {
    bamba_type_rule *rule;                /* [n], their patterns are ours */
    size_t           n;
} type_rules;

#define TYPE_RULES_ROW(target)                                                                 \
    ARG_LIST_ROW("--type-of", "REGEX=TYPE", target, "type of the weights whose name matches",  \
      .more = "A regular expression that is looked for in the names of tensors. It goes "      \
      "before --type; may be given several times, of those that match a name the last holds. " \
      "One that matches no matrix of the model is an error. " \
      "--type-of '.*=q4' is q4 throughout, where --type q4 keeps in q8 what suffers most.", \
      .check = type_rules_expect)

/* What is expected in place of a value without a pattern or a known type; NULL: it is good. */
const char *type_rules_expect(const char *text);

int  type_rules_read(type_rules *r, const arg_list *given);
void type_rules_free(type_rules *r);

#endif

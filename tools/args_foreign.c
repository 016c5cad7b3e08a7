/* args_foreign.c - options of llama-cli and llama-bench that have no meaning of their own here.
 *
 * Any command may say these phrases: an option that one recommends is one of all commands, or
 * stands behind the name of a command that has it. */
#include "args.h"

static const char *const none[] = { "0", "-1", "auto", NULL };
static const char *const zero[] = { "0", NULL };
static const char *const any_flash[] = { "on", "off", "auto", "0", "1", "-1", NULL };
static const char *const any_numa[] = { "distribute", "isolate", "numactl", "disabled", NULL };
static const char *const any_colour[] = { "on", "off", "auto", NULL };
static const char *const any_device[] = { "none", "CPU", "cpu", "auto", NULL };
static const char *const any_switch[] = { "0", "1", NULL };
static const char *const none_split[] = { "none", "layer", "row", NULL };

#define REFUSED_ROW(names, value, why) ARG_ROW(names, value, ARG_REFUSED, NULL, why)
#define ONLY_ROW(names, value, choices, why, refusal) \
    ARG_ROW(names, value, ARG_IGNORED, NULL, why, .more = refusal, .words = choices)

const arg args_foreign[] = {
    ONLY_ROW("-ngl, --n-gpu-layers, --gpu-layers", "N", none, "everything runs on the processor",
             "everything runs on the processor, leave it out or give 0"),
    ONLY_ROW("-fa, --flash-attn", "[on|off|auto]", any_flash, "attention is always computed so",
             "expected on, off or auto"),
    ONLY_ROW("-sm, --split-mode", "MODE", none_split, "there is one device", "expected none"),
    ONLY_ROW("-mg, --main-gpu", "N", zero, "there is one device", "there is one device, 0"),
    ONLY_ROW("-dev, --device", "NAME", any_device,
             "everything runs on the processor", "everything runs on the processor: none"),
    ONLY_ROW("-ncmoe, --n-cpu-moe", "N", zero, "everything runs on the processor",
             "everything runs on the processor, experts too; leave it out or give 0"),
    ONLY_ROW("--color", "[on|off|auto]", any_colour, "text is printed as it is",
             "expected on, off or auto"),
    ONLY_ROW("--numa", "TYPE", any_numa, "memory is placed beside the threads that read it",
             "expected distribute, isolate or numactl"),
    ARG_IGNORED_ROW("-ub, --ubatch-size", "N", "a prompt is run in pieces, see bamba generate -b"),
    ARG_IGNORED_ROW("--mlock", NULL, "the system keeps what is used in memory"),
    ONLY_ROW("-nkvo, --no-kv-offload, -kvo, --kv-offload", "[0|1]", any_switch,
             "everything runs on the processor", "expected 0 or 1"),
    ARG_IGNORED_ROW("--no-warmup, --warmup", NULL, "nothing has to be warmed"),
    ARG_IGNORED_ROW("-e, --escape, --no-perf, --simple-io, --no-color, --mmap", NULL,
                    "it is done so in any case"),
    ARG_IGNORED_ROW("--show-timings, --no-show-timings", NULL, "see -v and -q"),
    ARG_IGNORED_ROW("-cnv, --conversation, -no-cnv, --no-conversation, -st, --single-turn", NULL,
                    "a text is continued as it stands"),
    REFUSED_ROW("--context-shift", NULL, "a recurrent state cannot forget the tokens that are "
                "shifted out; bamba generate --window N bounds what attention sees"),
    ARG_IGNORED_ROW("--no-context-shift, --offline, --no-host, --no-op-offload", NULL,
                    "it is done so in any case"),
    ONLY_ROW("--keep", "N", zero, "the context is never shifted",
             "the context is never shifted, as a recurrent state cannot forget what is "
             "shifted out; bamba generate --window N --sink N keeps first tokens in sight"),
    ARG_IGNORED_ROW("-tb, --threads-batch", "N", "prompts run on as many threads as all else"),
    ARG_IGNORED_ROW("-C, --cpu-mask, -Cr, --cpu-range, -Cb, --cpu-mask-batch", "SET",
                    "threads go where the system lets them, see taskset"),
    ARG_IGNORED_ROW("--cpu-strict, --poll, --prio, --delay", "N",
                    "how threads wait is decided by the library"),
    ARG_IGNORED_ROW("--log-disable, --log-prefix, --log-timestamps, --log-colors", NULL,
                    "there is no log, see -v and -q"),
    ARG_IGNORED_ROW("-lv, --log-verbosity, --verbosity", "N", "there is no log, see -v and -q"),
    REFUSED_ROW("--control-vector", "FILE", "control vectors are not applied"),
    REFUSED_ROW("--lora, --lora-scaled", "FILE",
                "adapters are directories as PEFT writes them: bamba generate "
                "--adapter DIR=SCALE"),
    REFUSED_ROW("-hf, --hf-repo, -hfr, -mu, --model-url", "NAME",
                "nothing is downloaded; bamba generate -m takes a directory or the name of a "
                "cached model"),
    REFUSED_ROW("-i, --interactive, -if, --interactive-first, -r, --reverse-prompt", NULL,
                "bamba chat is a dialogue; bamba generate --stop TEXT ends a text"),
    REFUSED_ROW("-sys, --system-prompt, --chat-template", "TEXT",
                "no chat template is applied; see bamba chat, and bamba generate --chat"),
    ARG_IGNORED_ROW("--jinja", NULL, "chat templates are Jinja in any case"),
    REFUSED_ROW("--grammar, --grammar-file, -j, --json-schema", "TEXT", "there are no grammars"),
    ONLY_ROW("--mirostat", "N", zero, "mirostat is off",
             "mirostat is not implemented; bamba generate --typical and --top-n-sigma bound "
             "surprise as well, without a state"),
    REFUSED_ROW("--mirostat-lr, --mirostat-ent", "X", "mirostat is not implemented"),
    REFUSED_ROW("--dynatemp-range, --dynatemp-exp, --adaptive-target, --adaptive-decay", "X",
                "this way of sampling is not implemented"),
    REFUSED_ROW("--rope-scaling, --rope-scale, --rope-freq-base, --rope-freq-scale, "
                "--override-kv", "X",
                "positions and shapes are those of config.json; change them there"),
    ARG_END
};

# cases_help.sh - what is made of the option tables says the same everywhere.

commands="generate chat info tokenize perplexity compare logits embed score bench quantize merge
          calibrate models"
run 0 help --man
sed 's/\\f[BIR]//g; s/\\-/-/g; s/\\(aq/'"'"'/g; s/\\e/\\/g; s/\\&//g' out > man
for shell in bash zsh fish; do
    run 0 help --$shell
    cp out completion.$shell
done

begin "man and completion have the options of --help"
for command in $commands; do
    run 0 $command --help
    # The names of each option, one a line, with what takes a value.
    sed -n 's/^  \(-[^ ].*\)$/\1/p' out | sed 's/   *.*//' > rows
    [ "$(wc -l < rows)" -ge 4 ] || wrong "no options of $command"
    upper=$(echo $command | tr '[:lower:]' '[:upper:]')
    sort -u rows > in_help
    sed -n "/^\.SH $upper\$/,/^\.SH /p; /^\.SH ALL COMMANDS\$/,/^\.SH OPT/p" man |
        sed -n '/^\.TP$/{n;p;}' | sort -u > in_man
    cmp -s in_help in_man || wrong "$command: man differs: $(comm -3 in_help in_man | head -3)"
    sed 's/ [^-].*//; s/, /\n/g' rows | sort -u > names
    sed -n "/^    $command)\$/,/^        esac/s/.*\*) _bamba_words -W \"\(.*\)\".*/\1/p" \
        completion.bash | tr ' ' '\n' | sort -u > in_bash
    cmp -s names in_bash || wrong "$command: bash differs: $(comm -3 names in_bash | head -3)"
    sed -n "/^$command) _arguments/,/;;\$/s/^'[^']*'{*\([^'}]*\)}*'\[.*/\1/p" completion.zsh |
        tr , '\n' | sort -u > in_zsh
    cmp -s names in_zsh || wrong "$command: zsh differs: $(comm -3 names in_zsh | head -3)"
    sed -n "s/^complete -c bamba -n '__fish_seen_subcommand_from $command' \(.*\) -d .*/\1/p" \
        completion.fish | sed 's/-l /--/g; s/-[so] /-/g' | tr ' ' '\n' | sort -u > in_fish
    cmp -s names in_fish || wrong "$command: fish differs: $(comm -3 names in_fish | head -3)"
done

begin "man has the words of --help"
# Running text without line ends: each phrase of --help stands in the man page, but for its capital.
tr '\n' ' ' < man | tr -s ' ' > man_text
for command in $commands; do
    run 0 $command --help
    awk '/^$/ || /^[^ ]/ { if (phrase != "") print phrase; phrase = ""; next }
         /^  -/ { if (phrase != "") print phrase; phrase = ""
                  if (!sub(/^  -.*[^ ]  +/, "")) next }
         { sub(/^ +/, ""); phrase = phrase (phrase == "" ? "" : " ") $0 }
         END { if (phrase != "") print phrase }' out > phrases
    [ "$(wc -l < phrases)" -ge 4 ] || wrong "no phrases of $command"
    while read -r phrase; do
        grep -qF -e "${phrase#?}." man_text || wrong "$command: man lacks '$phrase'"
        short=$(printf %s "${phrase#?}" | sed "s/'.*//; s/[][\\\\].*//")
        for shell in zsh fish; do
            grep -qF -e "$short" completion.$shell || wrong "$command: $shell lacks '$phrase'"
        done
    done < phrases
done

begin "phrases about options of llama.cpp name options that there are"
# Each command is asked for each of them, with a value that is none; the phrase stands behind the
# option's name. An option in it belongs to the command named last, or else to the one that speaks.
for command in $commands; do
    run 0 $command --help
    sed -n 's/^  \(-[^ ].*\)$/\1/p' out | tr ' ,' '\n\n' | grep '^-' > names.$command
done
sed -n '/^\.SH OPTIONS OF LLAMA/,/^\.SH [^O]/{/^\.TP$/{n;p;}}' man > foreign
[ "$(wc -l < foreign)" -ge 30 ] || wrong "$(wc -l < foreign) options of llama.cpp"
for command in $commands; do
    : > said
    nowhere="-m nowhere"
    [ $command != models ] || nowhere=
    while read -r names; do
        option=${names%%[ ,]*}
        value=none-such
        case $names in *" "[A-Z]* | *" [0"*) ;; *) value= ;; esac
        "$bamba" $command $nowhere -v $option $value < in > out 2> err
        sed -n "s/^bamba[a-z ]*: $option[^:]*: //p" err >> said
    done < foreign
    [ "$(wc -l < said)" -ge 12 ] || wrong "$command: $(wc -l < said) phrases"
    sed 's/ (bamba [a-z]* --help)$//; s/[,;:]/ /g; s/=[A-Z]*//g' said |
        awk -v self=$command '{ of = self
             for (i = 1; i <= NF; i++)
                 if ($i == "bamba") of = $(++i)
                 else if ($i ~ /^--?[a-z]/) print of, $i }' | sort -u > recommended
    while read -r of option; do
        grep -qx -e "$option" names.$of || wrong "$command recommends $of $option"
    done < recommended
done

begin "choices of values"
for shell in bash zsh fish; do
    for words in "stored f32 bf16 f16" "c avx2 avxvnni" "synthetic real" "md json jsonl csv"; do
        grep -qF -e "$words" completion.$shell || wrong "$shell lacks '$words'"
    done
    grep -q "models.* shapes\|models --shapes" completion.$shell || wrong "$shell lacks the shapes"
done

begin "options of llama.cpp in the man page"
for name in --numa --mlock --lora --simple-io; do
    grep -q -e "^-.*$name\|^$name" man || wrong "$name"
    [ "$(cat completion.* | grep -c -e "$name\b")" -eq 0 ] || wrong "$name is completed"
done

begin "shells read their completion"
for shell in bash zsh fish; do
    command -v $shell > /dev/null || continue
    $shell -n completion.$shell 2> err || wrong "$shell"
done
if command -v bash > /dev/null; then
    cat > complete << 'END'
. ./completion.bash
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_bamba
printf '%s\n' "${COMPREPLY[*]}"
END
    completes() {                         # completes TEXT WORDS...
        told=$1
        shift
        found=$(bash complete "$bamba" "$@")
        [ "$found" = "$told" ] || wrong "$* gives $found"
    }
    completes "generate" gen
    completes "--prompt" generate --pro
    completes "bf16" generate --type b
    completes "bf16" generate --type = b
    completes "stored f32 bf16 f16 q8 q4" generate --type ""
    completes "perplexity" help per
fi

# bamba.bash - completion of bash for bamba: commands, their options, files, words.
# The options are those that "bamba COMMAND --help" shows.

_bamba()
{
    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local program=${COMP_WORDS[0]} command=${COMP_WORDS[1]}

    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "generate info tokenize perplexity logits bench --help \
            --version" -- "$word")
        return
    fi
    case $previous in
        -m | --model)
            mapfile -t COMPREPLY < <(compgen -d -- "$word"); return ;;
        -f | --file | -o | --output | --config)
            mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        --type)
            mapfile -t COMPREPLY < <(compgen -W "stored f32 bf16 f16" -- "$word"); return ;;
        --kv-type | -ctk | --cache-type-k)
            mapfile -t COMPREPLY < <(compgen -W "f32 bf16 f16" -- "$word"); return ;;
    esac
    local options
    options=$("$program" "$command" --help 2> /dev/null |
        sed -n 's/^  \(-[^ ]*\(, -[^ ]*\)*\).*/\1/p' | tr -d ,)
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
}
complete -o filenames -o bashdefault -F _bamba bamba

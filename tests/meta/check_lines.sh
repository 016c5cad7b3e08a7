#!/bin/sh
# check_lines.sh SOURCE - no line of C, shell, Python or CMake is longer than 100 characters.
#
# A character of several bytes counts once: in UTF-8 its bytes behind the first are 0x80 ... 0xbf.
# There are no exceptions: what must be one line when it is used is joined from parts where it is
# written. The check first shows on lines of its own that it tells 100 characters from 101.
cd "$1" || exit 1

check_width() {                           # check_width FILE...: names each longer line
    LC_ALL=C awk '
    {
        n_lines++
        gsub(/[\200-\277]/, "")
        if (length($0) > 100) {
            printf "%s:%d: %d characters, expected at most 100\n", FILENAME, FNR, length($0)
            failures++
        }
    }
    END {
        if (!failures) print "lines: " n_lines " of " ARGC - 1 " files are short enough"
        exit failures > 0
    }' "$@"
}

proof=$(mktemp) || exit 1
trap 'rm -f "$proof"' EXIT
for character in x é 中; do
    hundred=$(printf "%100s" "" | sed "s/ /$character/g")
    echo "$hundred" > "$proof"
    check_width "$proof" > /dev/null || { echo "100 times $character: found too long"; exit 1; }
    printf '\n%s\n' "${hundred}x" > "$proof"
    told=$(check_width "$proof") && { echo "101 characters with $character: not found"; exit 1; }
    [ "$told" = "$proof:2: 101 characters, expected at most 100" ] || { echo "$told"; exit 1; }
done

set -- .ci/run $(find CMakeLists.txt include src kernels tools tests models -name '*.[ch]' \
    -o -name '*.cc' -o -name '*.cpp' -o -name '*.sh' -o -name '*.py' -o -name '*.cmake' \
    -o -name CMakeLists.txt | sort)
[ $# -ge 600 ] || { echo "found only $# files"; exit 1; }
check_width "$@"

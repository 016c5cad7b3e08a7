#!/bin/sh
# check_symbols.sh NM SHARED ARCHIVE SOURCE - what the library exports is what the two public
# headers declare and tests/api/symbols.txt lists; every external name inside begins with bamba_
# or bb_.
nm=$1 shared=$2 archive=$3 source=$4
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
status=0

LC_ALL=C
export LC_ALL

differ() {          # title, expected, found
    diff "$2" "$3" > "$work/diff" && return
    echo "$1 (< expected, > found):"
    grep '^[<>]' "$work/diff"
    status=1
}

golden=$source/tests/api/symbols.txt
sort -c "$golden" || status=1

# The name before the first parenthesis of a declaration, which may begin on the line before.
awk '/^BAMBA_API/ { open = 1 }
     open && match($0, /[a-z_0-9]+\(/) { print substr($0, RSTART, RLENGTH - 1); open = 0 }' \
    "$source/include/bamba.h" "$source/include/bamba_measure.h" | sort > "$work/declared"
differ "declared in the public headers" "$golden" "$work/declared"

"$nm" -D --defined-only "$shared" | awk '{ print $NF }' | sort > "$work/exported"
differ "exported by $(basename "$shared")" "$golden" "$work/exported"

"$nm" -g --defined-only "$archive" 2> "$work/errors" | awk 'NF == 3 { print $3 }' | sort \
    > "$work/inside"
[ -s "$work/inside" ] || { echo "no symbols in $archive"; cat "$work/errors"; status=1; }
if grep -v -e '^bamba_' -e '^bb_' "$work/inside"; then
    echo "^ names of $(basename "$archive") that begin neither with bamba_ nor with bb_"
    status=1
fi
if uniq -d "$work/inside" | grep .; then
    echo "^ names that $(basename "$archive") defines twice"
    status=1
fi

[ $status = 0 ] && echo "symbols: $(wc -l < "$golden") exported, $(wc -l < "$work/inside") inside"
exit $status

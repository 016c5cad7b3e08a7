#!/bin/sh
# check_isa.sh OBJDUMP OBJECT... - objects that must run on any x86-64 hold no VEX or EVEX encoded
# instruction (AVX and later, BMI); the caller leaves out those of the wide levels. 77: not x86-64.
#
# In 64-bit mode the bytes c4, c5 and 62 in the place of an opcode are these encodings and nothing
# else; only segment and address-size prefixes can stand before them.
objdump=$1
shift
[ $# -gt 0 ] || { echo "no objects given"; exit 1; }
if ! "$objdump" -f "$1" | grep -q 'elf64-x86-64'; then
    echo "isa: skipped, $1 is not for x86-64"
    exit 77
fi

"$objdump" -d --insn-width=16 "$@" | awk -F '\t' -v n_objects=$# '
/file format/ { object = $0; sub(/:.*/, "", object); sub(/.*\//, "", object); next }
/^[0-9a-f]+ <.*>:$/ { function_name = $0; sub(/^[0-9a-f]+ /, "", function_name); next }
NF >= 3 {
    n++
    bytes = $2
    while (bytes ~ /^(26|2e|36|3e|64|65|67) /) bytes = substr(bytes, 4)
    if (bytes ~ /^(c4|c5|62) / || $3 ~ /%[yz]mm/) {
        if (++failures <= 20) printf "%s %s %s\n", object, function_name, $3
    }
}
END {
    if (n < 1000) { print "isa: only " n + 0 " instructions read"; exit 1 }
    if (failures) { print "isa: " failures " wide instructions in baseline code"; exit 1 }
    print "isa: " n " instructions of " n_objects " objects, none of them wide"
}'

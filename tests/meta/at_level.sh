#!/bin/sh
# Run a test with the kernels of one CPU level. The best level of this machine is left out: the test
# of the same name without a level runs at it.
#
#     at_level.sh BAMBA-CHECK LEVEL PROGRAM
#
# Exit status: the program's; 77 (skipped) if this machine does not have the level.
set -eu
"$1" --has "$2" || { echo "SKIPPED: no $2 here"; exit 77; }
if [ -z "${BAMBA_CPU-}" ] && "$1" --best "$2"; then
    echo "SKIPPED: $2 is the best here"
    exit 77
fi
BAMBA_CPU=$2 exec "$3"

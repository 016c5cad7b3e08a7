#!/bin/sh
# Run a test with the kernels of one CPU level.
#
#     at_level.sh BAMBA-CHECK LEVEL PROGRAM
#
# Exit status: the program's; 77 (skipped) if this machine does not have the level.
set -eu
"$1" --has "$2" || { echo "SKIPPED: no $2 here"; exit 77; }
BAMBA_CPU=$2 exec "$3"

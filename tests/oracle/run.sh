#!/bin/sh
# Live comparison with transformers in a virtual environment of its own, outside the source tree.
#
#     run.sh LIBBAMBA.SO [VENV] [bamba_oracle.py's options]
#     ORACLE=families_oracle.py run.sh LIBBAMBA.SO [VENV] [its options]
#     ORACLE=quantized_oracle.py NEEDS=requirements-quantized.txt run.sh …
#     ORACLE=lora_oracle.py NEEDS=requirements-lora.txt run.sh …
#
# Exit status: the comparison's; 77 (skipped) if the packages cannot be had, a failure when CI=true.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
if [ $# -lt 1 ]; then
    echo "usage: run.sh LIBBAMBA.SO [VENV] [options]" >&2
    exit 2
fi
lib=$1
needs=${NEEDS:-requirements.txt}
shift
venv=${XDG_CACHE_HOME:-$HOME/.cache}/libbamba-oracle
case ${1:-} in
    "" | -*) ;;
    *) venv=$1; shift ;;
esac

skip() {
    echo "SKIPPED: $1"
    if [ "${CI:-}" = true ]; then
        echo "CI=true: the comparison is required" >&2
        exit 1
    fi
    exit 77
}

# What is installed is remembered beside it, so that changed pins are installed anew.
install_packages() {
    [ -x "$venv/bin/python" ] || python3 -m venv "$venv" || return 1
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/$needs" ||
        return 1
    cp "$here/$needs" "$venv/$needs"
}

if ! cmp -s "$here/$needs" "$venv/$needs"; then
    install_packages || skip "the Python packages of tests/oracle/$needs cannot be installed"
fi
export PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1
exec "$venv/bin/python" "$here/${ORACLE:-bamba_oracle.py}" --lib "$lib" "$@"

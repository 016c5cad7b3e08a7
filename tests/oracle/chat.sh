#!/bin/sh
# The chat templates that llama-cpp-python's source distribution carries, rendered here and by
# transformers.
#
#     chat.sh LIBBAMBA.SO [VENV] [chat_oracle.py's options]
#
# Exit status: the comparison's; 77 (skipped) if the packages cannot be had, a failure when CI=true.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
if [ $# -lt 1 ]; then
    echo "usage: chat.sh LIBBAMBA.SO [VENV] [options]" >&2
    exit 2
fi
lib=$1
shift
venv=${XDG_CACHE_HOME:-$HOME/.cache}/libbamba-chat
case ${1:-} in
    "" | -*) ;;
    *) venv=$1; shift ;;
esac
name=llama_cpp_python-0.3.36
templates=$venv/$name/vendor/llama.cpp/models/templates

# The archive alone: pip reads what it is, and nothing is built of it.
prepare() {
    [ -x "$venv/bin/python" ] || python3 -m venv "$venv" || return 1
    set -- "$venv/bin/python" -m pip --quiet --disable-pip-version-check
    "$@" install -r "$here/requirements-chat.txt" || return 1
    [ -d "$templates" ] && return 0
    "$@" download --no-deps --no-binary llama-cpp-python --dest "$venv/sources" \
        llama-cpp-python==0.3.36 || return 1
    tar -xzf "$venv/sources/$name.tar.gz" -C "$venv" "$name/vendor/llama.cpp/models/templates"
}

if ! prepare; then
    echo "SKIPPED: the packages of requirements-chat.txt or the templates cannot be had"
    [ "${CI:-}" = true ] && exit 1
    exit 77
fi
export PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1
exec "$venv/bin/python" "$here/chat_oracle.py" --lib "$lib" --templates "$templates" "$@"

#!/bin/sh
# Installs what Debian 12 lacks to build libbamba, and for "test" also to test it. Asks the network
# only for what is missing, so it works again offline.
#
#     debian-setup.sh [build|test|ci]
set -eu

packages="gcc libc6-dev cmake make pkg-config libjson-c-dev libpcre2-dev libutf8proc-dev libopenblas-dev"
case ${1:-build} in
    build) ;;
    test)  packages="$packages g++ libcmocka-dev binutils diffutils" ;;
    ci)    packages="$packages g++ libcmocka-dev binutils diffutils clang libclang-rt-14-dev python3 python3-venv" ;;
    *)     echo "usage: debian-setup.sh [build|test|ci]" >&2; exit 2 ;;
esac

missing=""
for package in $packages; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "missing packages; as root: apt-get install$missing" >&2
    exit 1
fi
apt-get -q update
# shellcheck disable=SC2086 # a list of words
DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $missing

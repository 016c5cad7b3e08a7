#!/bin/sh
# debian-setup.sh - install what Debian 12 lacks to build libbamba; for "test" also what its tests
# need, for "aarch64" what the preset of that name needs. Only what is missing is downloaded, so it
# works a second time without a network.
#
#     debian-setup.sh [build|test|aarch64|ci]
set -eu

packages="gcc libc6-dev cmake make pkg-config libjson-c-dev libedit-dev libpcre2-dev"
packages="$packages libutf8proc-dev libxxhash-dev libopenblas0"
test="g++ libcmocka-dev binutils diffutils"
aarch64="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"
libraries=""
case ${1:-build} in
    build)   ;;
    test)    packages="$packages $test" ;;
    aarch64) packages="$packages $aarch64" ;;
    ci)      packages="$packages $test $aarch64 ccache clang libclang-rt-14-dev libomp-dev python3
                       python3-venv lintian dpkg-dev file" ;;
    *)       echo "usage: debian-setup.sh [build|test|aarch64|ci]" >&2; exit 2 ;;
esac
case ${1:-build} in
    aarch64 | ci)
        libraries="libjson-c5 libjson-c-dev libedit2 libedit-dev libbsd0 libmd0 libtinfo6"
        libraries="$libraries libpcre2-8-0 libpcre2-dev libutf8proc2 libutf8proc-dev libxxhash0"
        libraries="$libraries libxxhash-dev libcmocka0 libcmocka-dev" ;;
esac

missing=""
for package in $packages; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
if [ -n "$missing" ]; then
    if [ "$(id -u)" -ne 0 ]; then
        echo "missing packages; as root: apt-get install$missing" >&2
        exit 1
    fi
    apt-get -q update
    # shellcheck disable=SC2086 # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $missing
fi

# The libraries for arm64 are unpacked beside the system, not installed: as packages of a second
# architecture they bring libc6-dev's dependencies and hold each at the version it has for amd64,
# which upgrades OpenSSL and a dozen more of the host. unpacked.txt records the list that has been
# unpacked, so that a changed list is downloaded again.
root=${XDG_CACHE_HOME:-$HOME/.cache}/libbamba-aarch64
[ -n "$libraries" ] && [ "$(cat "$root/unpacked.txt" 2>/dev/null)" != "$libraries" ] || exit 0

rm -rf "$root"
mkdir -p "$root/apt/lists/partial" "$root/apt/cache/archives/partial"
apt_arm64() {      # package lists of its own; the sources and keys are the system's
    apt-get -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root \
            -o Dir::State="$root/apt" -o Dir::State::Status=/dev/null \
            -o Dir::Cache="$root/apt/cache" "$@"
}
apt_arm64 update
# shellcheck disable=SC2086 # a list of words
(cd "$root/apt" && apt_arm64 download $libraries)
for deb in "$root"/apt/*.deb; do dpkg -x "$deb" "$root"; done
rm -rf "$root/apt"
echo "$libraries" > "$root/unpacked.txt"

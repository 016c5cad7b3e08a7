#!/bin/sh
# deb.sh SOURCE BUILD - as root: builds the Debian packages in BUILD, has lintian look at them,
# installs them, uses the command and, by pkg-config and find_package, the library, and removes them
# again.
set -eu
source=$1 build=$2
packages="libbamba0 libbamba-dev bamba-tools"
for package in $packages; do
    ! dpkg -s "$package" > /dev/null 2>&1 || { echo "deb: $package is installed already"; exit 1; }
done
work=$(mktemp -d)
# shellcheck disable=SC2086 # a list of words
trap 'dpkg --purge $packages > /dev/null 2>&1 || true; rm -rf "$work"' EXIT
unset LD_LIBRARY_PATH PKG_CONFIG_PATH BAMBA_MODEL || true
umask 022

cmake -S "$source" -B "$build" -DCMAKE_INSTALL_PREFIX=/usr -DBAMBA_TESTS=OFF
cmake --build "$build" -j "$(nproc)"
(cd "$build" && cpack -B "$work/debs")
chmod 755 "$work"
lintian --fail-on error "$work"/debs/*.deb
for package in libbamba0 bamba-tools; do
    dpkg-deb -f "$work/debs/$package"_*.deb Depends > "$work/depends"
    grep -q 'libpcre2-8-0.*libutf8proc2' "$work/depends"
    ! grep -i blas "$work/depends"
done
apt-get -q install -y --no-install-recommends "$work"/debs/*.deb

cd "$work"
bamba generate -p "Once upon a time" -n 60 --seed 4 > command
[ "$(wc -c < command)" -ge 40 ]
for file in /usr/share/man/man1/bamba.1.gz /usr/share/doc/libbamba0/copyright; do
    [ -s "$file" ]
done
model=/usr/share/bamba/models/fable
# shellcheck disable=SC2046 # lists of words
cc "$source/tests/api/story.c" -o shared $(pkg-config --cflags --libs bamba)
# shellcheck disable=SC2046
cc "$source/tests/api/story.c" -o alone -static $(pkg-config --static --cflags --libs bamba)
cmake -S "$source/tests/api/consumer" -B consumer
cmake --build consumer
for program in ./shared ./alone consumer/story_shared consumer/story_static; do
    $program $model "Once upon a time" 60 > story
    [ "$(wc -c < story)" -ge 40 ]
    cp -n story first
    cmp story first
done
ldd ./shared consumer/story_shared | grep 'libbamba.so.0 => /.*lib/'

# shellcheck disable=SC2086
dpkg -L $packages | sort -u > files
# shellcheck disable=SC2086
dpkg --purge $packages
while read -r file; do
    case $file in *bamba*) ! [ -e "$file" ] || { echo "deb: $file stays"; exit 1; } ;; esac
done < files
echo "deb: $(wc -l < files) files of three packages came and went"

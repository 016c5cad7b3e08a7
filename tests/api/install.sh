#!/bin/sh
# install.sh BUILD SOURCE - installs into an empty prefix and uses what lies there as others would:
# story.c and header_cpp.cc, shared and static, by pkg-config and by find_package; the bamba command
# with the model beside it. The prefix is moved once, so nothing may remember where it was.
build=$1 source=$2
cmake=${CMAKE:-cmake} cc=${CC:-cc} cxx=${CXX:-c++}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
api=$source/tests/api
flags="-Wall -Wextra -Wpedantic -Werror"
unset LD_LIBRARY_PATH BAMBA_MODEL

n_checks=0
check() {           # what, command...
    what=$1
    shift
    n_checks=$((n_checks + 1))
    "$@" > "$work/log" 2>&1 && return
    echo "install: $what failed: $*"
    tail -n 30 "$work/log"
    exit 1
}

tells() {           # what, command...: it prints at least 40 bytes of text
    check "$@"
    [ "$(wc -c < "$work/log")" -ge 40 ] && return
    echo "install: $1 says too little:"
    cat "$work/log"
    exit 1
}

check "cmake --install" "$cmake" --install "$build" --prefix "$work/first"
prefix=$work/elsewhere
mv "$work/first" "$prefix" || exit 1
lib=$(dirname "$(find "$prefix" -name libbamba.a)")
model=$prefix/share/bamba/models/fable
for file in include/bamba.h include/bamba_measure.h bin/bamba share/man/man1/bamba.1 \
            share/bash-completion/completions/bamba share/zsh/site-functions/_bamba \
            share/fish/vendor_completions.d/bamba.fish \
            share/bamba/models/fable/model.safetensors; do
    check "$file is installed" test -f "$prefix/$file"
done
if grep -rl -e "$work/first" -e "$build" "$prefix" > "$work/log"; then
    echo "install: these files remember a directory:"
    cat "$work/log"
    exit 1
fi

# pkg-config. Statically: our archive by name, then what it needs.
PKG_CONFIG_PATH=$lib/pkgconfig
export PKG_CONFIG_PATH
cflags=$(pkg-config --cflags bamba) || exit 1
shared=$(pkg-config --libs bamba) || exit 1
static="$lib/libbamba.a $(pkg-config --static --libs bamba | sed 's/-lbamba //')"
c="$cc -std=c11 $flags $cflags $api/story.c"
cpp="$cxx -std=c++11 $flags $cflags $api/header_cpp.cc"
check "building story, pkg-config, shared" $c -o "$work/1" $shared
check "building story, pkg-config, static" $c -o "$work/2" $static
check "building C++, pkg-config, shared" $cpp -o "$work/3" $shared
check "building C++, pkg-config, static" $cpp -o "$work/4" $static
tells "story, pkg-config, shared" env LD_LIBRARY_PATH="$lib" "$work/1" "$model" "Once upon a time" 60
tells "story, pkg-config, static" "$work/2" "$model" "Once upon a time" 60
tells "C++, pkg-config, shared" env LD_LIBRARY_PATH="$lib" "$work/3" "$model"
tells "C++, pkg-config, static" "$work/4" "$model"

check "find_package" "$cmake" -S "$api/consumer" -B "$work/consumer" -DCMAKE_PREFIX_PATH="$prefix" \
    -DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx" \
    -DCMAKE_C_FLAGS="$flags" -DCMAKE_CXX_FLAGS="$flags"
check "building with find_package" "$cmake" --build "$work/consumer"
for program in story_shared story_static cpp_shared cpp_static; do
    tells "$program" "$work/consumer/$program" "$model"
done

# The same seed tells the same story, however the program was linked; what goes wrong is said.
LD_LIBRARY_PATH=$lib "$work/1" "$model" "Once upon a time" 60 > "$work/story" 2>&1
"$work/2" "$model" "Once upon a time" 60 > "$work/story_static" 2>&1
check "the same story" cmp "$work/story" "$work/story_static"
if "$work/2" "$work" 2> "$work/message"; then
    echo "install: a directory without a model is accepted"
    exit 1
fi
check "config.json is named" grep -q config.json "$work/message"

cd / || exit 1
tells "bamba" "$prefix/bin/bamba" generate -p "Once upon a time" -n 60
check "bamba info" "$prefix/bin/bamba" info
echo "install: $n_checks checks in a fresh prefix"

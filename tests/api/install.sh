#!/bin/sh
# install.sh BUILD SOURCE - installs into an empty prefix and uses what lies there as others would:
# C and C++, shared, with our archive, and with nothing shared, by the README's lines, pkg-config,
# find_package and FetchContent, with each compiler; the bamba command with the model beside it,
# short of memory too. The prefix is moved once, so nothing may remember where it was.
build=$1 source=$2
cmake=${CMAKE:-cmake} cc=$(basename "${CC:-cc}")
case $cc in clang*) cxx=clang++${cc#clang} ;; *) cxx=${CXX:-c++} ;; esac
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

# Names alone, whatever machine it was built on.
if grep -r -e /x86_64 -e /aarch64 -e '\.so' "$lib/pkgconfig" "$lib"/cmake/bamba/bamba_static*; then
    echo "install: these lines name a file or folder of the machine"
    exit 1
fi

# The README's own lines.
readme=$work/readme.sh
awk '/^```/ { open = 0 } open && /PREFIX/ { found = 1 } open && found; /^```sh/ { open = 1 }' \
    "$source/README.md" | sed "s,PREFIX,$work/by-hand,g" > "$readme"
mkdir "$work/checkout"
ln -s "$build" "$work/checkout/build"
ln -s "$source/models" "$work/checkout/models"
cp "$api/story.c" "$work/checkout"
check "the README installs and compiles" grep -q '^cc .*story' "$readme"
tells "the README's lines" sh -ec "cd '$work/checkout'; . '$readme'; ./story"

# libomp is clang's alone and has no archive.
PKG_CONFIG_PATH=$lib/pkgconfig
export PKG_CONFIG_PATH
alone=ON compilers=$cc:$cxx
case $(pkg-config --static --libs bamba) in
    *-fopenmp*) alone=OFF ;;
    *) command -v clang++ > /dev/null && [ "$cc" != clang ] &&
        compilers="$compilers clang:clang++" ;;
esac

n_programs=0
use() {             # directory of programs
    for program in "$1"/story_* "$1"/cpp_*; do
        [ -x "$program" ] && [ -f "$program" ] || continue
        n_programs=$((n_programs + 1))
        tells "$program" "$program" "$model" "Once upon a time" 60
        mv "$work/log" "$work/told"
        case $program in *story_*) check "$program: the same" cmp "$work/told" "$work/story" ;; esac
    done
}

"$prefix/bin/bamba" --version > "$work/log" || exit 1
by_pkg_config() {   # C compiler, C++ compiler
    mkdir "$work/$1"
    c="$1 -std=c11 $flags $api/story.c -o $work/$1/story"
    cpp="$2 -std=c++11 $flags $api/header_cpp.cc -o $work/$1/cpp"
    libs="$(pkg-config --cflags --libs bamba) -Wl,-rpath,$lib"
    archive=$(pkg-config --static --cflags --libs bamba)
    check "$1, shared" ${c}_shared $libs
    check "$2, shared" ${cpp}_shared $libs
    if [ $alone = ON ]; then
        check "$1, nothing shared" ${c}_alone -static $archive
        check "$2, nothing shared" ${cpp}_alone -static $archive
        check "$1 shares nothing" sh -c "! ldd $work/$1/story_alone"
    fi
    archive=$(echo "$archive" | sed "s,-lbamba ,$lib/libbamba.a ,")
    check "$1, our archive" ${c}_static $archive
    check "$2, our archive" ${cpp}_static $archive
}

by_cmake() {        # directory, C compiler, C++ compiler, options...
    to=$work/$1 as_c=$2 as_cpp=$3
    shift 3
    check "configuring $to" "$cmake" -S "$api/consumer" -B "$to" -DCMAKE_C_COMPILER="$as_c" \
        -DCMAKE_CXX_COMPILER="$as_cpp" -DCMAKE_C_FLAGS="$flags" -DCMAKE_CXX_FLAGS="$flags" \
        -DSTATIC=$alone "$@"
    check "building $to" "$cmake" --build "$to" -j 2
}

mkdir "$work/first"
check "the first story" $cc $api/story.c -o "$work/first/story" $(pkg-config --cflags --libs bamba)
LD_LIBRARY_PATH=$lib "$work/first/story" "$model" "Once upon a time" 60 > "$work/story" 2>&1
for pair in $compilers; do
    by_pkg_config "${pair%:*}" "${pair#*:}"
    use "$work/${pair%:*}"
    by_cmake "find-${pair%:*}" "${pair%:*}" "${pair#*:}" -DCMAKE_PREFIX_PATH="$prefix"
    use "$work/find-${pair%:*}"
done

# As a part of another project, unoptimised to be quick; the project installs none of ours.
by_cmake part "$cc" "$cxx" -DBAMBA_SOURCE="$source" -DCMAKE_BUILD_TYPE=None
for program in story_shared story_static cpp_shared cpp_static; do
    tells "$program" "$work/part/$program" "$model"
done
check "installing the other project" "$cmake" --install "$work/part" --prefix "$work/other"
check "it installs its own alone" \
    [ "$(find "$work/other" -type f)" = "$work/other/bin/story_shared" ]

# What goes wrong is said.
if "$work/$cc/story_static" "$work" 2> "$work/message"; then
    echo "install: a directory without a model is accepted"
    exit 1
fi
check "config.json is named" grep -q config.json "$work/message"

cd / || exit 1
tells "bamba" "$prefix/bin/bamba" generate -p "Once upon a time" -n 60
check "bamba info" "$prefix/bin/bamba" info

# OpenBLAS has no part in it but at level c, and none there without it or the memory it takes.
check "no OpenBLAS is linked" sh -c "! ldd $lib/libbamba.so | grep -i blas"
: > "$work/libopenblas.so.0"
text=$(seq 200)
tells "level c without OpenBLAS" env LD_LIBRARY_PATH="$work" "$prefix/bin/bamba" generate --cpu c \
    -p "$text" -n 40
for kib in 20000 55000 100000 140000 180000 300000 500000; do
    check "--version in $kib KiB" sh -c "ulimit -v $kib; timeout 60 $prefix/bin/bamba --version"
    (ulimit -v $kib; timeout 60 "$prefix/bin/bamba" generate --cpu c -p "$text" -n 4) \
        > "$work/said" 2>&1
    case $? in
        0) ;;
        1) check "$kib KiB: a message" grep -q '^bamba: .' "$work/said" ;;
        *) echo "install: in $kib KiB bamba ends otherwise"; cat "$work/said"; exit 1 ;;
    esac
done
echo "install: $n_checks checks of $n_programs programs in a fresh prefix"

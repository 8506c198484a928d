#!/bin/sh
# clang-format (check only) and clang-tidy over our own sources; needs both installed.
set -eu
build=${1:-build}
files=$(git ls-files 'src/*.cc' 'src/*.h' 'tests/*.cc' 'bench/*.cc')
echo "$files" | xargs clang-format --dry-run --Werror
# g++'s precompiled header means nothing to clang: analyse with a build folder that has none.
cmake -S . -B "$build-tidy" -G Ninja -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON --log-level=WARNING
echo "$files" | grep '\.cc$' | grep '^src/' | grep -v _test.cc |
  xargs -P "$(nproc)" -n 4 clang-tidy -p "$build-tidy" --quiet

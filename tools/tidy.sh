#!/bin/sh
# clang-format (check only) and clang-tidy over our own sources; needs both installed.
set -eu
build=${1:-build}
files=$(git ls-files 'src/*.cc' 'src/*.h' 'tests/*.cc')
echo "$files" | xargs clang-format --dry-run --Werror
# g++'s precompiled header means nothing to clang: analyse with a build folder that has none.
cmake -S . -B "$build-tidy" -G Ninja -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON --log-level=WARNING
# Kernels of instruction sets are g++'s: clang 14 does not know all that they ask of it.
echo "$files" | grep '\.cc$' | grep '^src/' | grep -v -e _test.cc -e '^src/backend/cpu/.*/' |
  xargs -P "$(nproc)" -n 4 clang-tidy -p "$build-tidy" --quiet

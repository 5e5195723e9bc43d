#!/bin/sh
# Every C and C++ source is laid out as clang-format 14 with our .clang-format lays it out.
# Another version lays out differently: then nothing can be said, and the test is failed, not passed.
set -eu
clang-format --version | grep -q 'version 14\.' || { echo 'needs clang-format 14'; exit 1; }
files=$(git ls-files '*.c' '*.h' '*.cc')
[ -n "$files" ] || { echo 'no sources found'; exit 1; }
# shellcheck disable=SC2086 # a list of names, none with a space
clang-format --dry-run --Werror $files

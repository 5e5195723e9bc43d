#!/bin/sh
# headers.sh INCLUDE CC CXX: the public headers are clean in the oldest dialects that anybody builds with.
set -eu
source='#include <freehold/freehold.h>
#include <freehold/registry.h>
int use;'
for standard in c89 c99 c17; do
    echo "$source" | "$2" -std=$standard -Wall -Wextra -pedantic -Werror -I"$1" -fsyntax-only -x c -
done
for standard in c++98 c++11 c++20; do
    echo "$source" | "$3" -std=$standard -Wall -Wextra -pedantic -Werror -I"$1" -fsyntax-only -x c++ -
done

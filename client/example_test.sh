#!/bin/sh
# The program in docs/client.md compiles, links and says what is wrong; every function that the
# headers declare is named in the manual's tables. Arguments: source dir, build dir, compiler, flags.
set -eu
source=$1 build=$2 compiler=$3
shift 3
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

sed -n '/^```c$/,/^```$/p' "$source/docs/client.md" | grep -v '^```' >"$work/move.c"
for language in "c++ -std=c++11" "c -std=c99"; do # the last is linked
    "$compiler" -x ${language% *} -fsyntax-only /dev/null 2>/dev/null || continue # not installed
    # $language is two words
    "$compiler" -x $language -Wall -Wextra -Wpedantic -Werror "$@" -I"$source/client" \
        -I"$source/proto" -c -o "$work/move.o" "$work/move.c"
done
"$compiler" "$@" -o "$work/move" "$work/move.o" -L"$build/lib" -lsandferry -lsandferry-proto \
    -Wl,-rpath,"$build/lib"

told=$("$work/move" unix:/nonexistent/a unix:/nonexistent/b web 2>&1) && exit 1
case $told in
"save: "*/nonexistent/a*) ;;
*) echo "unexpected: $told" && exit 1 ;;
esac

# Calls, that is: what returns bool.
sed -n 's/^bool \(sandferry_[a-z_]*\)(.*/\1/p' "$source"/client/sandferry*.h | grep -v connect |
    while read -r name; do
        grep -q "\`$name\`" "$source/docs/client.md" || { echo "$name is not in client.md"; exit 1; }
    done

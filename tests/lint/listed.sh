#!/bin/sh
# Every test program stands in the Makefile, or in another test that runs it: one that nobody runs is none.
cd "$(dirname "$0")/../.." || exit 1
bad=0
for f in tests/integration/*.sh tests/integration/*.py tests/interop/*.sh tests/interop/*.py; do
    name=${f#tests/}
    grep -qE "^[[:space:]]+$name([[:space:]]|$)" Makefile || grep -qF "${name##*/}" ${f%/*}/*.sh && continue
    echo "$f: in no list of the Makefile" >&2
    bad=1
done
exit $bad

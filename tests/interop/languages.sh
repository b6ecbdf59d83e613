#!/bin/sh
# Echo servers and clients in other languages, as many as there are here: each with its own ways to look names up and to connect.
. "$(dirname "$0")/../lib/world.sh"
APPS=$TOP/tests/interop/apps
world_up
alice=$(address_of alice)

for language in perl:pl ruby:rb php:php; do
    program=${language%:*} source=$APPS/echo.${language#*:}
    step "$program"
    command -v "$program" >/dev/null || { echo "    not here"; continue; }
    serve bob "$program" "$program" "$source" serve
    as alice i3run timeout 40 "$program" "$source" call bob.i3 "$PORT" "$alice" >"$T/client.log" 2>&1 || die "$(cat "$T/client.log")"
    ! grep -v -e "^$alice $program\$" -e '^port ' "$T/$program.log" || die "who is that? alice is $alice"
    grep -q "^$alice " "$T/$program.log" || die "nobody came"
done

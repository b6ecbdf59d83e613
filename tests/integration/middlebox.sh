#!/bin/sh
# Middle-boxes: alice's rule sends her packets for bob by carol, and bob's come back so.
. "$(dirname "$0")/../lib/world.sh"
world_up
user_add carol
know bob alice
know alice bob
know alice carol
know carol alice
conf() { # USER: appends what comes by stdin, and has it read
    cat >>"$W/$1/config/i3/i3.conf"
    as "$1" i3ctl reload >/dev/null || die "reload at $1"
}
conf carol <<E2
middlebox { allow = { "alice" } }
E2
conf alice <<E2
rule { suffix = ".i3" action = "overlay" through = { "carol" } }
E2
as alice timeout 20 i3ctl ping bob 3 || die "no ping"

#!/bin/sh
# The manual says all that the programs can: each option of --help is in its page, each verb and option of i3ctl, each setting of i3.conf;
# and the pages are well formed.
. "$(dirname "$0")/../lib/world.sh"
M=$TOP/tools/man

# What is in a page, without the marks of scdoc
plain() {
    sed 's/\\//g; s/[*_]//g' "$M/$1"
}

missing=''
# wants PAGE WORD: it stands there, and is not the beginning of a longer one
wants() {
    plain "$1" | grep -q -E -e "(^|[^A-Za-z0-9-])$2([^A-Za-z0-9-]|\$)" || missing="$missing $1:$2"
}

step "options of --help"
for p in i3run i3d i3node; do
    options=$($p --help | grep '^  ' | grep -o -e '^ *\(-[a-zA-Z], *\)\?--[a-z0-9-]*\(, --[a-z-]*\)*' | tr -s ' ,' '\n\n' | grep -e '^-' | sort -u)
    [ "$(echo "$options" | wc -l)" -gt 5 ] || die "$p --help has few options: $options"
    for o in $options; do
        wants "$p.1.scd" "$o"
    done
done

step "verbs of i3ctl, and their options"
i3ctl help --json | python3 -c 'import json, re, sys
for v in json.load(sys.stdin)["verbs"]:
    print(v["name"])
    lines = [l for l in (v["details"] or "").split("\n") if re.match(r" +-", l)]
    heads = " ".join(re.split(r"  +(?=[a-z])", l.strip())[0] for l in lines)
    for o in sorted(set(re.findall(r"(?<![\w-])--?[a-zA-Z][a-z-]*", v["synopsis"] + " " + heads))):
        print(o)' | sort -u >"$T/words"
[ "$(wc -l <"$T/words")" -gt 50 ] || die "few verbs and options: $(cat "$T/words")"
while read -r w; do
    wants i3ctl.1.scd "$w"
done <"$T/words"

step "settings"
# the table by which i3d reads them
sed -n 's/^ *{SECTION_[A-Z]*, "\([a-z_]*\)".*/\1/p; s/^ *\[SECTION_[A-Z]*\] = {"\([a-z]\{1,\}\)".*/\1/p' "$TOP/daemon/policy/schema.c" | sort -u >"$T/keys"
[ "$(wc -l <"$T/keys")" -gt 10 ] || die "few settings: $(cat "$T/keys")"
while read -r k; do
    plain i3.conf.5.scd | grep -q -w -e "$(echo "$k" | tr -d _)" || missing="$missing i3.conf.5:$k"
done <"$T/keys"
[ -z "$missing" ] || die "not in the manual:$missing"

step "pages that man can show"
command -v scdoc >/dev/null || { echo "no scdoc here"; exit 0; }
for f in "$M"/*.scd; do
    scdoc <"$f" >"$T/page" || die "$f is no page"
    command -v man >/dev/null || continue
    LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$T/page" 2>"$T/warnings" >/dev/null || :
    [ ! -s "$T/warnings" ] || die "$f: $(cat "$T/warnings")"
done
echo "all well"

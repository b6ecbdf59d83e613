#!/bin/sh
# Completions in the real shells: every verb and every option of `i3ctl help` is offered, names come from a daemon that runs, none is started
# for them, and `i3run COMMAND` goes on with what COMMAND has.
. "$(dirname "$0")/../lib/world.sh"
C=$B/completions

# ask SHELL WORD...: what is offered for the last word, one a line
ask() {
    shell=$1
    shift
    case $shell in
    bash) bash --norc --noprofile -c '
        [ ! -r /usr/share/bash-completion/bash_completion ] || . /usr/share/bash-completion/bash_completion
        C=$1; shift
        . "$C/bash/$1"
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE}
        "_$1" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}" 2>/dev/null
        printf "%s\n" "${COMPREPLY[@]}"' ask "$C" "$@" ;;
    zsh) zsh -f -c '
        # what the functions of compsys would show, printed
        _describe() { while [[ $1 == -* ]]; do [[ $1 == -t ]] && shift; shift; done; shift; print -rl -- "${${(P)1}[@]%%:*}" }
        _files() { print -rl -- ${words[CURRENT]}*(N) }
        _message() { : }
        _command_names() { print -rl -- ${(k)commands} }
        _normal() { print -r -- "NORMAL $words[1]" }
        _arguments() { local a; for a; do [[ $a == \** && $a == *\[* ]] && print -r -- "${${a#\*}%%\[*}"; done; [[ -n ${words[2]-} && $CURRENT -gt 2 ]] && { shift words; _normal } }
        C=$1; shift
        words=("$@") CURRENT=$#
        . "$C/zsh/_$1"' ask "$C" "$@" ;;
    fish) fish --no-config -c '
        for p in i3ctl i3run i3d i3node
            source $argv[1]/fish/$p.fish
        end
        complete -C "$argv[2]" | string replace -r "\t.*" ""' "$C" "$(shift 0; echo "$*")" ;;
    esac
}

# offered SHELL WANTED WORD...
offered() {
    sh_=$1 wanted=$2
    shift 2
    ask "$sh_" "$@" >"$T/offers" 2>"$T/offers.err" || :
    for w in $wanted; do
        grep -q -x -e "$w" "$T/offers" || die "$sh_: '$*' does not offer $w but: $(head -40 "$T/offers" | tr '\n' ' ') $(head -3 "$T/offers.err")"
    done
}

shells=bash
for s in zsh fish; do
    command -v $s >/dev/null && shells="$shells $s" || echo "no $s here"
done

i3ctl help --json | python3 -c 'import json, re, sys
# as a reader finds them: in the first line of a help, and where a line of it begins with one
for v in json.load(sys.stdin)["verbs"]:
    lines = [l for l in (v["details"] or "").split("\n") if re.match(r" +-", l)]
    heads = " ".join(re.split(r"  +(?=[a-z])", l.strip())[0] for l in lines)
    options = set(re.findall(r"(?<![\w-])--?[a-zA-Z][a-z-]*", v["synopsis"] + " " + heads)) | {"--help", "--json"}
    print(v["name"].replace(" ", "_"), *sorted(options))' >"$T/verbs"
[ "$(wc -l <"$T/verbs")" -gt 25 ] || die "few verbs: $(cat "$T/verbs")"

for s in $shells; do
    step "$s: every verb and option of i3ctl"
    offered $s "$(sed 's/[_ ].*//' "$T/verbs" | sort -u | tr '\n' ' ')" i3ctl ''
    while read -r verb options; do
        case $verb in
        *_*) offered $s "${verb#*_}" i3ctl "${verb%_*}" '' ;;
        esac
        # shellcheck disable=SC2046
        offered $s "$(echo "$options" | tr ' ' '\n' | grep -e '^--' | tr '\n' ' ')" i3ctl $(echo "$verb" | tr '_' ' ') --
        short=$(echo "$options" | tr ' ' '\n' | grep -v -e '^--' | tr '\n' ' ')
        # shellcheck disable=SC2046
        [ -z "$short" ] || offered $s "$short" i3ctl $(echo "$verb" | tr '_' ' ') -
    done <"$T/verbs"
    step "$s: the other programs"
    for p in i3run i3d i3node; do
        long=$($p --help | grep -o -e '^  .*' | grep -o -e '^ *\(-[a-z], \)\?--[a-z0-9-]*\(, --[a-z0-9-]*\)*' | grep -o -e '--[a-z0-9-]*' | sort -u)
        [ -n "$long" ] || die "$p --help has no options"
        for o in $long; do
            ask $s $p -- >"$T/offers" 2>&1 || :
            grep -q -e "^$o=\?-\?$" "$T/offers" || die "$s: $p does not offer $o but: $(tr '\n' ' ' <"$T/offers")"
        done
    done
    [ $s = zsh ] || offered $s "warn info" i3node --log-level "" 
done

case $shells in
*zsh*)
    step "zsh, typed at a terminal"
    timeout 60 zsh -f "$LIB/zsh_types.zsh" "$C" </dev/null || die "zsh at a terminal does not complete"
    ;;
esac

step "no daemon is started for a name"
mkdir -p "$T/none"
for s in $shells; do
    XDG_RUNTIME_DIR="$T/none" ask $s i3ctl ping '' >"$T/offers" 2>&1 || :
    [ ! -e "$T/none/i3" ] || die "$s has made $(ls "$T/none/i3")"
done

step "names of the book"
world_up
for s in $shells; do
    for verb in ping drop "book rm" unshare; do
        # shellcheck disable=SC2086
        as alice true && (
            . "$W/alice.env"
            offered $s bob i3ctl $verb ''
        )
    done
    (
        . "$W/alice.env"
        offered $s bob i3ctl trace --peer ''
        cd "$W"
        offered $s alice.env i3ctl trace -w alice.e
    )
done

step "the command's own"
mkdir "$T/here"
cd "$T/here"
: >some-file
ask bash i3run --verbose cat some | grep -q -x some-file || die "bash: i3run cat does not go on with files"
ask bash i3run ca | grep -q -x cat || die "bash: no commands"
case $shells in
*zsh*) ask zsh i3run --verbose cat some | grep -q -x 'NORMAL .*' || die "zsh: i3run cat is not handed on" ;;
esac
case $shells in
*fish*)
    ask fish i3run cat some | grep -q -x some-file || die "fish: i3run cat does not go on with files"
    ask fish i3run ca | grep -q -x cat || die "fish: no commands"
    ;;
esac
echo "all well: $shells"

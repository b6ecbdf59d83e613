#!/usr/bin/env python3
"""generate.py BIN OUT: completions of all programs for bash, zsh and fish, read off what the programs in BIN say of themselves
(`i3ctl help --json`, --help), so that no option can be forgotten. Leaves OUT/bash/NAME, OUT/zsh/_NAME and OUT/fish/NAME.fish."""
import json
import os
import re
import subprocess
import sys

BIN, OUT = sys.argv[1:3]
OPTION = r"--[a-z][a-z0-9-]*|-[A-Za-z]"
# what the words in capitals stand for
KINDS = {"FILE": "file", "SOCKET": "file", "DIR": "dir", "FOLDER": "dir", "NAME": "name", "PEER": "name", "VERB": "verb"}
# values that can be told; of an option, by program and option
WORDS = {("i3node", "--log-format"): "text json journal", ("i3d", "--log-format"): "text json journal",
         ("i3node", "--log-level"): "error warn info debug", ("i3d", "--log-level"): "error warn info debug"}
KIND_OF = {("i3node", "--listen"): "none", ("i3node", "--control"): "file", ("i3ctl", "--via"): "name", ("i3ctl", "--name"): "none",
           ("i3ctl", "--as"): "none", ("i3ctl", "--overlay"): "none", ("i3run", "--argv0"): "none"}
NEW_NAME = {"book add", "group new", "group join", "join"}  # the NAME is one that is not in the book yet
GROUP_NAME = {"group export", "group leave"}


def says(*args):
    return subprocess.run([os.path.join(BIN, args[0]), *args[1:]], stdout=subprocess.PIPE, check=True, text=True).stdout


def kind_of(program, option, value):
    if not value or value.startswith("["):  # an optional one is typed by who wants it
        return ""
    if (program, option) in WORDS:
        return "words " + WORDS[program, option]
    word = re.match(r"[A-Z]+", value.lstrip("[="))
    return KIND_OF.get((program, option)) or KINDS.get(word.group() if word else "", "none")


def options_in(program, lines, synopsis=""):
    """[(option, kind of its value or "", what it is for)], of the lines of a help text that begin with an option"""
    found = {}
    for line in lines:
        m = re.match(rf"\s+((?:(?:{OPTION})[^\s,]*,?\s(?:[A-Z][^\s]*,?\s)?)+)\s*(.*)", line + " ")
        if not m:
            continue
        for o, value in re.findall(rf"({OPTION})((?:\[?=|\s)[A-Z|\[][^\s,]*)?", m.group(1)):
            about = m.group(2).strip()
            found.setdefault(o, (kind_of(program, o, value.strip()), about))
    for o, value in re.findall(rf"(?<![\w-])({OPTION})((?:\[?=|\s)[A-Z][^\s\]]*)?", synopsis):
        found.setdefault(o, (kind_of(program, o, value.strip()), ""))
    return [(o, *v) for o, v in found.items()]


class Verb:
    def __init__(self, v):
        self.name, self.about = v["name"], v["summary"]
        self.options = options_in("i3ctl", (v["details"] or "").split("\n"), v["synopsis"])
        self.options += [("--help", "", "all about this verb")]
        self.args = [self.arg(a) for a in re.findall(r"[A-Z][A-Z|]*", re.sub(r"\[?-\S+ [A-Z]\S*", "", v["args"]))]

    def arg(self, word):
        kinds = [KINDS.get(w, "none") for w in word.split("|")]
        kind = next((k for k in kinds if k != "none"), "none")
        if kind == "name":
            kind = "none" if self.name in NEW_NAME else "group" if self.name in GROUP_NAME else "name"
        return kind


verbs = [Verb(v) for v in json.loads(says("i3ctl", "help", "--json"))["verbs"]]
groups = sorted({v.name.split()[0] for v in verbs if " " in v.name})
programs = {p: options_in(p, [re.sub(r"^(\s+)(-\S+)$", r"\1\2 ", x) for x in says(p, "--help").split("\n") if x.startswith("  ")])
            for p in ("i3run", "i3d", "i3node")}


def write(path, text):
    path = os.path.join(OUT, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w") as f:
        f.write(text)
    os.replace(path + ".new", path)


def quoted(s):
    return "'" + s.replace("'", "'\\''") + "'"


def firsts():
    """(word, about) of what may come first"""
    seen = {}
    for v in verbs:
        word = v.name.split()[0]
        seen.setdefault(word, v.about if word == v.name else ", ".join(w.name.split()[1] for w in verbs if w.name.startswith(word + " ")))
    return seen.items()


def seconds(group):
    return [(v.name.split()[1], v.about) for v in verbs if v.name.startswith(group + " ")]


def case(rows, empty=""):
    """a shell's case over "$1": rows of (pattern, words)"""
    return "".join(f"    {quoted(p)}) echo {quoted(w)} ;;\n" for p, w in rows if w) + (f"    *) {empty} ;;\n" if empty else "")


# ---- bash -----------------------------------------------------------------------------------------
def positions(v):
    return " ".join(v.args)


TABLES = f"""
# the options of a verb; what the value of an option is; what its arguments are, one word each
__i3ctl_options() {{
    case $1 in
{case((v.name, " ".join(o for o, _, _ in v.options)) for v in verbs)}    esac
}}
__i3ctl_value() {{
    case $1 in
{case((f"{v.name} {o}", k) for v in verbs for o, k, _ in v.options)}    esac
}}
__i3ctl_args() {{
    case $1 in
{case((v.name, positions(v)) for v in verbs)}    esac
}}
__i3ctl_seconds() {{
    case $1 in
{case((g, " ".join(s for s, _ in seconds(g))) for g in groups)}    esac
}}
# names that the daemon knows; never starts one for the sake of a completion, and never waits long
__i3ctl_names() {{
    timeout 2 i3ctl status >/dev/null 2>&1 </dev/null || return 0
    case $1 in
    group) timeout 2 i3ctl group list --json 2>/dev/null </dev/null ;;
    *) timeout 2 i3ctl book ls --json 2>/dev/null </dev/null ;;
    esac | sed -n 's/^ *"name": "\\(.*\\)",*$/\\1/p'
}}
"""

HEAD = "# completion of {} for {}; made by tools/completions/generate.py from what the program says of itself\n"

BASH_I3CTL = HEAD.format("i3ctl", "bash") + TABLES + f"""
__i3ctl_reply() {{
    case $1 in
    file) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    dir) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
    name | group) mapfile -t COMPREPLY < <(compgen -W "$(__i3ctl_names "$1")" -- "$cur") ;;
    verb) mapfile -t COMPREPLY < <(compgen -W {quoted(" ".join(w for w, _ in firsts()))} -- "$cur") ;;
    words*) mapfile -t COMPREPLY < <(compgen -W "${{1#words }}" -- "$cur") ;;
    esac
}}

_i3ctl() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} verb='' second='' kind i n=0 word
    local -a args
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${{COMP_WORDS[i]}}
        if [[ $word == -* ]]; then
            kind=$(__i3ctl_value "$verb $word")
            if [[ -n $kind ]]; then
                if ((i + 1 == COMP_CWORD)); then
                    __i3ctl_reply "$kind"
                    return
                fi
                ((i++))
            fi
        elif [[ -z $verb ]]; then
            verb=$word second=$(__i3ctl_seconds "$word")
        elif [[ -n $second && " $second " == *" $word "* ]]; then
            verb="$verb $word" second=''
        else
            second='' n=$((n + 1))
        fi
    done
    if [[ -z $verb ]]; then
        __i3ctl_reply verb
        [[ $cur == -* ]] && mapfile -t COMPREPLY < <(compgen -W '--help --version --json' -- "$cur")
    elif [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(__i3ctl_options "$verb") --help" -- "$cur")
    elif [[ -n $second ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$second" -- "$cur")
    else
        read -ra args < <(__i3ctl_args "$verb")
        __i3ctl_reply "${{args[n]-}}"
    fi
}}
complete -F _i3ctl i3ctl
"""


def bash_plain(p):
    opts = " ".join(o for o, _, _ in programs[p])
    cases = ""
    for kind, action in (("file", "-f"), ("dir", "-d"), ("none", None)):
        names = [o for o, k, _ in programs[p] if k == kind]
        if names:
            what = f'mapfile -t COMPREPLY < <(compgen {action} -- "$cur")' if action else ":"
            cases += f"    {' | '.join(names)}) {what} ;;\n"
    for o, k, _ in programs[p]:
        if k.startswith("words "):
            cases += f"    {o}) mapfile -t COMPREPLY < <(compgen -W {quoted(k[6:])} -- \"$cur\") ;;\n"
    return HEAD.format(p, "bash") + f"""
_{p}() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}}
    COMPREPLY=()
    case $before in
{cases}    *) mapfile -t COMPREPLY < <(compgen -W {quoted(opts)} -- "$cur") ;;
    esac
}}
complete -o filenames -F _{p} {p}
"""


BASH_I3RUN = HEAD.format("i3run", "bash") + f"""
# its options, then the command with its own completion
_i3run() {{
    local i word cur=${{COMP_WORDS[COMP_CWORD]}}
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${{COMP_WORDS[i]}}
        [[ $word == -* && $word != -- ]] && continue
        [[ $word == = || ${{COMP_WORDS[i - 1]}} == = ]] && continue
        [[ $word == -- ]] && ((i++))
        if ((i == COMP_CWORD)); then
            break
        fi
        declare -F _command_offset >/dev/null || {{ [ ! -r /usr/share/bash-completion/bash_completion ] || . /usr/share/bash-completion/bash_completion; }}
        if declare -F _command_offset >/dev/null; then
            _command_offset "$i"
        else
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        fi
        return
    done
    if [[ $cur == -* && ${{COMP_WORDS[COMP_CWORD - 1]}} != -- ]]; then
        mapfile -t COMPREPLY < <(compgen -W {quoted(" ".join(o + ("=" if k else "") for o, k, _ in programs["i3run"]))} -- "$cur")
        [[ ${{COMPREPLY[0]-}} != *= ]] || compopt -o nospace 2>/dev/null
    else
        mapfile -t COMPREPLY < <(compgen -c -- "$cur")
    fi
}}
complete -F _i3run i3run
"""

# ---- zsh ------------------------------------------------------------------------------------------


def zsh_text(s):
    return s.replace("\\", "\\\\").replace(":", "\\:")


def zsh_list(rows):
    return "(" + " ".join(quoted(f"{w}:{zsh_text(a)}") for w, a in rows) + ")"


ZSH_I3CTL = "#compdef i3ctl\n" + HEAD.format("i3ctl", "zsh") + TABLES + f"""
__i3ctl_reply() {{
    local -a rows
    case $1 in
    file) _files ;;
    dir) _files -/ ;;
    name | group) rows=(${{(f)"$(__i3ctl_names $1)"}}); _describe -t names name rows ;;
    verb) rows={zsh_list(firsts())}; _describe -t verbs verb rows ;;
    words*) rows=(${{=1#words }}); _describe -t values value rows ;;
    *) _message 'something of your own' ;;
    esac
}}

__i3ctl_describe() {{
    local -a rows
    case $1 in
{"".join(f"    {quoted(v.name)}) rows={zsh_list([(o, a) for o, _, a in v.options])} ;;{chr(10)}" for v in verbs)}    *) rows=('--help:help' '--version:the version' '--json:answer in JSON') ;;
    esac
    _describe -o -t options option rows
}}

__i3ctl_describe_seconds() {{
    local -a rows
    case $1 in
{"".join(f"    {g}) rows={zsh_list(seconds(g))} ;;{chr(10)}" for g in groups)}    esac
    _describe -t verbs 'what to do' rows
}}

_i3ctl() {{
    local verb='' second='' kind word cur=$words[CURRENT]
    local -a args
    local -i i n=1
    for ((i = 2; i < CURRENT; i++)); do
        word=$words[i]
        if [[ $word == -* ]]; then
            kind=$(__i3ctl_value "$verb $word")
            if [[ -n $kind ]]; then
                if ((i + 1 == CURRENT)); then
                    __i3ctl_reply "$kind"
                    return
                fi
                ((i++))
            fi
        elif [[ -z $verb ]]; then
            verb=$word second=$(__i3ctl_seconds "$word")
        elif [[ -n $second && " $second " == *" $word "* ]]; then
            verb="$verb $word" second=''
        else
            second=''
            ((n++))
        fi
    done
    if [[ $cur == -* ]]; then
        __i3ctl_describe "$verb"
    elif [[ -z $verb ]]; then
        __i3ctl_reply verb
    elif [[ -n $second ]]; then
        __i3ctl_describe_seconds "$verb"
    else
        args=($(__i3ctl_args "$verb"))
        __i3ctl_reply "${{args[n]-}}"
    fi
}}

_i3ctl "$@"
"""


def zsh_spec(o, k, about):
    action = {"file": "_files", "dir": "_files -/", "none": " ", "name": " "}.get(k, f"({k[6:]})" if k.startswith("words") else "")
    about = re.sub(r"([\[\]:\\])", r"\\\1", about)
    return quoted(f"*{o}[{about}]" + (f":value:{action}" if k else ""))


def zsh_plain(p):
    specs = " \\\n    ".join(zsh_spec(*row) for row in programs[p])
    return f"#compdef {p}\n" + HEAD.format(p, "zsh") + f"\n_arguments -s \\\n    {specs}\n"


def zsh_i3run():
    rows = [(o + ("=-" if k else ""), k, a) for o, k, a in programs["i3run"]]
    specs = " \\\n    ".join(zsh_spec(*row) for row in rows)
    return "#compdef i3run\n" + HEAD.format("i3run", "zsh") + f"""
# its options, then the command with its own completion
_arguments -s -S \\
    {specs} \\
    '(-):command: _command_names -e' \\
    '*::arguments:_normal'
"""


# ---- fish -----------------------------------------------------------------------------------------
def fish_quoted(s):
    return "'" + s.replace("\\", "\\\\").replace("'", "\\'") + "'"


def fish_option(program, o, k, about, when=None):
    line = f"complete -c {program}"
    if when:
        line += f" -n {fish_quoted(when)}"
    line += f" -l {o[2:]}" if o.startswith("--") else f" -s {o[1:]}"
    if k:
        action = {"file": " -F", "dir": " -x -a '(__fish_complete_directories)'", "name": " -x -a '(__i3ctl_names)'",
                  "none": " -x"}.get(k, f" -x -a {fish_quoted(k[6:])}")
        line += " -r" + action if action == " -F" else action
    return line + (f" -d {fish_quoted(about)}" if about else "") + "\n"


FISH_HEAD = """
function __i3ctl_names -d 'names that the daemon knows; starts none, and does not wait long'
    timeout 2 i3ctl status >/dev/null 2>&1 </dev/null; or return
    if test "$argv[1]" = group
        timeout 2 i3ctl group list --json 2>/dev/null </dev/null
    else
        timeout 2 i3ctl book ls --json 2>/dev/null </dev/null
    end | string replace -rf '^ *"name": "(.*)",?$' '$1'
end

# the words typed so far, options left out
function __i3ctl_words
    set -l words (commandline -opc)
    string match -v -- '-*' $words[2..-1]
end

# __i3ctl_is NAME [MORE]: they are NAME, and MORE of others
function __i3ctl_is
    set -l words (__i3ctl_words)
    set -l want (string split -n ' ' -- $argv[1])
    set -l n (count $want)
    test (count $words) -ge $n; or return 1
    test $n -eq 0; or test "$words[1..$n]" = "$want"; or return 1
    test (count $argv) -eq 1; or test (math (count $words) - $n) -eq $argv[2]
end

complete -c i3ctl -f
complete -c i3ctl -n '__i3ctl_is "" 0' -l help -d 'what there is'
complete -c i3ctl -n '__i3ctl_is "" 0' -l version -d 'the version'
"""


def fish_i3ctl():
    text = HEAD.format("i3ctl", "fish") + FISH_HEAD
    for word, about in firsts():
        text += f"complete -c i3ctl -n '__i3ctl_is \"\" 0' -a {word} -d {fish_quoted(about)}\n"
    for g in groups:
        for word, about in seconds(g):
            text += f"complete -c i3ctl -n '__i3ctl_is \"{g}\" 0' -a {word} -d {fish_quoted(about)}\n"
    for v in verbs:
        for row in v.options:
            text += fish_option("i3ctl", *row, when=f'__i3ctl_is "{v.name}"')
        for n, kind in enumerate(v.args):
            when = fish_quoted(f'__i3ctl_is "{v.name}" {n}')
            if kind in ("name", "group"):
                text += f"complete -c i3ctl -n {when} -a '(__i3ctl_names {kind})' -d 'in the book'\n"
            elif kind == "file":
                text += f"complete -c i3ctl -n {when} -F\n"
            elif kind == "dir":
                text += f"complete -c i3ctl -n {when} -a '(__fish_complete_directories)'\n"
            elif kind == "verb":
                text += f"complete -c i3ctl -n {when} -a {fish_quoted(' '.join(w for w, _ in firsts()))}\n"
    return text


def fish_plain(p):
    return HEAD.format(p, "fish") + f"\ncomplete -c {p} -f\n" + "".join(fish_option(p, *row) for row in programs[p])


def fish_i3run():
    text = HEAD.format("i3run", "fish") + """
# no command yet
function __i3run_options_only
    for word in (commandline -opc)[2..-1]
        test "$word" != --; and string match -q -- '-*' $word; or return 1
    end
end

complete -c i3run -x -a '(__fish_complete_subcommand)'
"""
    return text + "".join(fish_option("i3run", *row, when="__i3run_options_only") for row in programs["i3run"])


write("bash/i3ctl", BASH_I3CTL)
write("bash/i3run", BASH_I3RUN)
write("zsh/_i3ctl", ZSH_I3CTL)
write("zsh/_i3run", zsh_i3run())
write("fish/i3ctl.fish", fish_i3ctl())
write("fish/i3run.fish", fish_i3run())
for p in ("i3d", "i3node"):
    write("bash/" + p, bash_plain(p))
    write("zsh/_" + p, zsh_plain(p))
    write(f"fish/{p}.fish", fish_plain(p))

# zsh_types.zsh COMPLETIONS: a zsh at a terminal, in which somebody types and presses Tab.
zmodload zsh/zpty
C=$1
zpty z "TERM=dumb HOME=/nonexistent zsh -f -i"
say() { zpty -w z "$1" }
say "unsetopt zle_bracketed_paste; PS1='> '; fpath=($C/zsh \$fpath); autoload -U compinit; compinit -u -D; echo READ''Y"
out=
while zpty -r z line; do out+=$line; [[ $out == *READY* ]] && break; done
typed() {
  zpty -w -n z "$1"$'\t'
  local got= line t=0
  for t in {1..40}; do
     zpty -r -t z line && got+=$line
     [[ $got == *$2* ]] && { print "ok $1"; zpty -w -n z $'\x15'; return }
     sleep 0.05
  done
  print -r -- "FAIL $1: ${(q)got}"; exit 1
}
typed "i3ctl undr" "undrop"
typed "i3ctl book a" "book add"
typed "i3ctl share --targ" "--target"
typed "i3node --log-level war" "warn"
typed "i3run --overl" "--overlay-only"
typed "i3run -v i3ctl undr" "undrop"
zpty -d z

#!/bin/sh
# git: clone, fetch and push through its own daemon, over ssh, and over HTTP by git-http-backend behind a web server.
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/programs.sh"
. "$LIB/sshd.sh"
need git ssh apache2
backend=$(git --exec-path)/git-http-backend
[ -x "$backend" ] && [ -x "$(git --exec-path)/git-remote-http" ] || { echo "needs git's HTTP parts"; exit 77; }
world_up
alice=$(address_of alice)
export GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@a GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@a

mkdir "$T/srv"
git init -q -b trunk "$T/first"
for i in $(seq 100); do
    echo "line $i" >"$T/first/file$i"
done
head -c 3000000 /dev/urandom >"$T/first/big"
git -C "$T/first" add .
git -C "$T/first" commit -q -m first
git clone -q --bare "$T/first" "$T/srv/project.git"
git -C "$T/srv/project.git" config http.receivepack true
git -C "$T/srv/project.git" config daemon.receivepack true

# clone, a commit, push, and a fetch from a second clone: there_and_back NAME URL
there_and_back() {
    copy=$T/clone-$1
    step "$1"
    as alice i3run timeout 60 git clone -q "$2" "$copy" || die "clone: $(cat "$T"/*.log)"
    cmp "$T/first/big" "$copy/big"
    as alice i3run timeout 60 git clone -q --depth 1 "$2" "$copy.second"
    head -c 2000000 /dev/urandom >"$copy/by-$1"
    git -C "$copy" add .
    git -C "$copy" commit -q -m "by $1"
    as alice i3run timeout 60 git -C "$copy" push -q origin trunk || die "push: $(cat "$T"/*.log)"
    expect "the server's head" "$(git -C "$T/srv/project.git" rev-parse trunk)" "$(git -C "$copy" rev-parse trunk)"
    as alice i3run timeout 60 git -C "$copy.second" pull -q
    cmp "$copy/by-$1" "$copy.second/by-$1"
    git -C "$copy" fsck --no-progress || die "fsck"
}

port=$(free_port)
back_on "$port" bob daemon git daemon --verbose --reuseaddr --export-all --enable=receive-pack --base-path="$T/srv" --listen=127.0.0.1 --port="$port"
there_and_back daemon "git://bob.i3:$port/project.git"
must_have "$T/daemon.log" "Connection from $alice:"

sshd_up bob
export GIT_SSH_COMMAND="ssh $SSH"
there_and_back ssh "ssh://$ME@bob.i3:$SSH_PORT$T/srv/project.git"

# Apache with git-http-backend as a CGI program
port=$(free_port)
cat >"$T/httpd.conf" <<END
ServerRoot "$T"
ServerName bob.i3
Listen 127.0.0.1:$port
PidFile "$T/httpd.pid"
ErrorLog "$T/httpd-error.log"
LoadModule mpm_prefork_module /usr/lib/apache2/modules/mod_mpm_prefork.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
LoadModule env_module /usr/lib/apache2/modules/mod_env.so
LoadModule cgi_module /usr/lib/apache2/modules/mod_cgi.so
TransferLog "$T/httpd-access.log"
SetEnv GIT_PROJECT_ROOT "$T/srv"
SetEnv GIT_HTTP_EXPORT_ALL 1
SetEnv REMOTE_USER a
ScriptAlias /git/ "$backend/"
<Directory "$(dirname "$backend")">
    Require all granted
</Directory>
END
back_on "$port" bob httpd setsid apache2 -f "$T/httpd.conf" -D FOREGROUND
there_and_back http "http://bob.i3:$port/git/project.git"
must_have "$T/httpd-access.log" "^$alice .*POST /git/project.git/git-receive-pack HTTP/1.1. 200"

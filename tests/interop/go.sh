#!/bin/sh
# Go's own network stack under i3run's engine, without cgo and with it: HTTP client and server, names by Go's resolver, many requests
# at once; and busybox, a static C program.
. "$(dirname "$0")/../lib/world.sh"
command -v go >/dev/null || { echo "needs go"; exit 77; }
mkdir "$T/src"
cat >"$T/src/go.mod" <<'P'
module web
go 1.19
P
cat >"$T/src/main.go" <<'P'
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"time"
)

func fail(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func serve() {
	l, err := net.Listen("tcp", ":0")
	fail(err)
	fmt.Printf("port %d\n", l.Addr().(*net.TCPAddr).Port)
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		fmt.Fprintf(w, "%s sees %s\n", r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr).IP, host)
	})
	http.HandleFunc("/big", func(w http.ResponseWriter, r *http.Request) {
		w.Write(make([]byte, 8<<20))
	})
	fail(http.Serve(l, nil))
}

func get(url string) string {
	r, err := http.Get(url)
	fail(err)
	b, err := io.ReadAll(r.Body)
	fail(err)
	return string(b)
}

// Many at once, each over a connection of its own, while the garbage collector signals threads as often as it can.
func many(url string, n int) {
	var all sync.WaitGroup
	t := &http.Transport{DisableKeepAlives: true}
	stop := make(chan bool)
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	for i := 0; i < n; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			r, err := (&http.Client{Transport: t}).Get(url)
			fail(err)
			io.Copy(io.Discard, r.Body)
			r.Body.Close()
		}()
	}
	all.Wait()
	close(stop)
	fmt.Println("all", n)
}

func udp(to string) {
	c, err := net.Dial("udp", to)
	fail(err)
	c.SetDeadline(time.Now().Add(5 * time.Second))
	c.Write([]byte("connected"))
	b := make([]byte, 100)
	n, err := c.Read(b)
	fail(err)
	u, err := net.ListenPacket("udp", ":0")
	fail(err)
	u.SetDeadline(time.Now().Add(5 * time.Second))
	a, err := net.ResolveUDPAddr("udp", to)
	fail(err)
	u.WriteTo([]byte("unconnected"), a)
	m, from, err := u.ReadFrom(b[n:])
	fail(err)
	fmt.Println(string(b[:n]), string(b[n:n+m]), from.String() == a.String())
}

func main() {
	switch os.Args[1] {
	case "serve":
		serve()
	case "get":
		fmt.Print(get(os.Args[2]))
	case "big":
		fmt.Println(len(get(os.Args[2])))
	case "many":
		many(os.Args[2], 200)
	case "udp":
		udp(os.Args[2])
	case "refused":
		_, err := net.DialTimeout("tcp", os.Args[2], 10*time.Second)
		fmt.Println(err)
	case "lookup":
		a, err := net.DefaultResolver.LookupHost(context.Background(), os.Args[2])
		fmt.Println(a, err)
	}
}
P
export GOCACHE="$T/cache" GOPATH="$T/gopath" GOFLAGS=-mod=mod GOPROXY=off GOTOOLCHAIN=local HOME="$T"
(cd "$T/src" && CGO_ENABLED=0 go build -o "$T/static" . && CGO_ENABLED=1 go build -o "$T/cgo" .) || die "go cannot build"
world_up
bob=$(address_of bob) alice=$(address_of alice)
as alice i3run -v "$T/cgo" 2>&1 | grep -q 'is written in Go: run by the seccomp engine' || die "cgo is not seen"
for kind in static cgo; do
    step "Go, $kind"
    serve bob "go-$kind" "$T/$kind" serve
    expect "get" "$(as alice i3run "$T/$kind" get "http://bob.i3:$PORT/")" "$bob sees $alice"
    expect "8 MB" "$(as alice i3run "$T/$kind" big "http://bob.i3:$PORT/big")" 8388608
    expect "200 at once" "$(as alice i3run "$T/$kind" many "http://bob.i3:$PORT/")" "all 200"
    expect "by curl" "$(as alice i3run curl -sS "http://bob.i3:$PORT/")" "$bob sees $alice"
    expect "a real peer" "$(as alice i3run "$T/$kind" get "http://127.0.0.1:$PORT/")" "127.0.0.1 sees 127.0.0.1"
    kill "$SERVER"
    wait "$SERVER" && status=0 || status=$?
    expect "the server's end" $status 143
    as alice i3run "$T/$kind" refused "bob.i3:9" | grep -q 'connection refused' || die "not refused"
    as alice i3run "$T/$kind" lookup nobody.i3 | grep -q 'no such host' || die "a name that does not exist"
    serve bob "udp-$kind" "$LIB/udp_echo.py"
    expect "UDP" "$(as alice i3run "$T/$kind" udp "bob.i3:$PORT")" "connected unconnected true"
    kill "$SERVER"
done

busybox=$(command -v busybox) || exit 0
step "busybox"
mkdir "$T/www"
echo page >"$T/www/index.html"
cd "$T/www"
# a server of IPv4 alone, and a client that tries one address only
serve bob web python3 "$LIB/web.py"
expect "wget by busybox" "$(as alice i3run "$busybox" wget -q -O- "http://bob.i3:$PORT/index.html")" page
expect "started by bash" "$(as alice i3run bash -c "$busybox wget -q -O- http://bob.i3:$PORT/index.html; echo \$?")" "page
0"

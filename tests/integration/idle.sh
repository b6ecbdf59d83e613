#!/bin/sh
# A session which says nothing for IDLE_SECONDS (40; 300 is the figure of the issue) lives on, and so does its name.
# waits: in silence
. "$(dirname "$0")/../lib/world.sh"
seconds=${IDLE_SECONDS:-40}
world_up
cat >"$T/talk.py" <<'PY'
import socket, sys, time
if sys.argv[1] == "server":
    listener = socket.create_server(("", 0))
    print("port", listener.getsockname()[1], flush=True)
    conn, _ = listener.accept()
    while True:
        data = conn.recv(4096)
        if not data:
            break
        conn.sendall(data.upper())
else:
    conn = socket.create_connection((sys.argv[2], int(sys.argv[3])), timeout=10)
    for pause in (0, float(sys.argv[4]), 0.2):
        time.sleep(pause)
        conn.sendall(b"hello")
        start = time.monotonic()
        assert conn.recv(4096) == b"HELLO"
        print("after %g s: %.1f ms" % (pause, (time.monotonic() - start) * 1e3))
PY
serve bob talk python3 "$T/talk.py" server
step "silent for $seconds s"
as alice i3run python3 "$T/talk.py" client bob.i3 "$PORT" "$seconds"

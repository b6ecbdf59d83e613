"""Fetches a page again and again, as a program does that lives on: again.py HOST PORT FILE [SECONDS between].

FILE has one line for each fetch: the moment it began, how long it took, "ok" or what went wrong. Ends when FILE.stop exists.
"""
import http.client
import os
import socket
import sys
import time

host, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
pause = float(sys.argv[4]) if len(sys.argv) > 4 else 0.02
with open(path, "w", buffering=1) as out:
    while not os.path.exists(path + ".stop"):
        began = time.time()
        try:
            c = http.client.HTTPConnection(host, port, timeout=10)
            c.request("GET", "/page")
            r = c.getresponse()
            text = r.read()
            what = "ok" if r.status == 200 and text == b"the page\n" else "wrong %d %r" % (r.status, text[:40])
            c.close()
        except (OSError, http.client.HTTPException) as e:
            what = "%s %s" % (type(e).__name__, e)
        out.write("%.3f %.3f %s\n" % (began, time.time() - began, what))
        time.sleep(pause)

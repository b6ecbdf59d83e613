"""leaks.py TRACE: what strace has written of connect, sendto, sendmsg and sendmmsg: prints questions about .i3 that were sent
towards anything but this machine, and fails when there is one, or when nothing in the trace has to do with names at all."""
import re
import sys

LABEL = r"\2i3\0"  # how strace shows the end of a name below .i3 in a DNS packet
CALL = re.compile(r"(\d+) +(connect|sendto|sendmsg|sendmmsg)\((\d+)(<[^>]*>?[^>]*>)?, (.*)")


def main():
    towards, leaks, asked = {}, [], False
    for line in open(sys.argv[1], errors="replace"):
        asked |= "i3d.sock" in line
        m = CALL.match(line)
        if m and m[2] == "connect":
            port_and_address = re.search(r'sin6?_port=htons\((\d+)\).*?"([^"]+)"', m[5])
            towards[m[1], m[3]] = towards[m[3]] = port_and_address and port_and_address[2]
        if LABEL not in line or "<UNIX" in line:
            continue
        named = re.search(r'msg_name=\{.*?"([^"]+)"|sin_addr=inet_addr\("([^"]+)"', line)
        to = named and (named[1] or named[2]) or m and (towards.get((m[1], m[3])) or towards.get(m[3]))
        if not to or not (to.startswith("127.") or to == "::1"):
            leaks.append(f"to {to}: {line.strip()[:200]}")
    for leak in leaks:
        print(leak)
    if not asked:
        print("nobody has asked the daemon: has the program come that far?")
    sys.exit(bool(leaks) or not asked)


main()

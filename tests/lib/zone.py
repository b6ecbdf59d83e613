#!/usr/bin/env python3
"""zone.py LISTEN ADDRESS: a DNS server at port 53 (UDP and TCP), for whom every name below .test is at ADDRESS, and no other
name exists. Names of which the first label begins with "mute" get no answer, with "broken" SERVFAIL, with "refused" REFUSED. Prints
"port 53", then "NAME TYPE ASKER" of each question."""
import ipaddress, socket, struct, sys, threading

A, AAAA = 1, 28
NXDOMAIN, SERVFAIL, REFUSED = 3, 2, 5


def answer(query, address, asker):
    """None: nothing is said."""
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1").lower())
        at += 1 + query[at]
    kind, = struct.unpack_from(">H", query, at + 1)
    print(".".join(labels), kind, asker, flush=True)
    question, first = query[12:at + 5], labels[0] if labels else ""
    if first.startswith("mute"):
        return None
    rcode = SERVFAIL if first.startswith("broken") else REFUSED if first.startswith("refused") else 0 if labels[-1:] == ["test"] else NXDOMAIN
    found = b""
    if rcode == 0 and kind == (A if address.version == 4 else AAAA):
        found = b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 300, len(address.packed)) + address.packed
    return query[:2] + struct.pack(">HHHHH", 0x8580 | rcode, 1, bool(found), 0, 0) + question + found


def by_tcp(listener, address):
    while True:
        c, who = listener.accept()
        with c:
            try:
                c.settimeout(2)
                n, = struct.unpack(">H", c.recv(2, socket.MSG_WAITALL))
                a = answer(c.recv(n, socket.MSG_WAITALL), address, who[0])
                if a:
                    c.sendall(struct.pack(">H", len(a)) + a)
            except (OSError, struct.error, IndexError):
                pass


def main():
    listen, address = sys.argv[1], ipaddress.ip_address(sys.argv[2])
    family = socket.AF_INET6 if ":" in listen else socket.AF_INET
    udp = socket.socket(family, socket.SOCK_DGRAM)
    udp.bind((listen, 53))
    tcp = socket.create_server((listen, 53), family=family, backlog=64)
    threading.Thread(target=by_tcp, args=(tcp, address), daemon=True).start()
    print("port 53", flush=True)
    while True:
        query, who = udp.recvfrom(4096)
        try:
            a = answer(query, address, who[0])
        except (IndexError, struct.error):
            continue
        if a:
            udp.sendto(a, who)


if __name__ == "__main__":
    main()

#!/usr/bin/python3
"""port53.py BYTES...: watches what goes to port 53 of anybody in this network namespace, over any protocol. Prints "port 0" when it does,
then "leak ..." for each packet that has one of the byte strings (in hex) in it, whatever their case, and "other" for one that has none."""
import socket, struct, sys

ETH_P_ALL = 3
forbidden = [bytes.fromhex(h).lower() for h in sys.argv[1:]]
s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
print('port 0', flush=True)
while True:
    packet, where = s.recvfrom(65536)
    if where[2] == 4: # each packet of loopback is seen twice, going out and coming in
        continue
    at = 40 if packet[0] >> 4 == 6 else (packet[0] & 15) * 4
    protocol = packet[6] if at == 40 and packet[0] >> 4 == 6 else packet[9]
    if protocol not in (6, 17) or struct.unpack('>H', packet[at + 2:at + 4])[0] != 53:
        continue
    body = packet[at:].lower()
    print('leak %s' % packet.hex() if any(f in body for f in forbidden) else 'other', flush=True)

"""pixels.py PICTURE.png X,Y=RRGGBB...: whether a screenshot shows these colours at these places; says what it shows instead."""
import struct
import sys
import zlib


def chunks(data):
    at = 8
    while at < len(data):
        n, kind = struct.unpack_from(">I4s", data, at)
        yield kind, data[at + 8:at + 8 + n]
        at += 12 + n


def paeth(a, b, c):
    p = a + b - c
    return min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]


def unfilter(kind, row, above, step):
    """PNG, section 9.2."""
    for i in range(len(row)):
        left, up = row[i - step] if i >= step else 0, above[i]
        corner = above[i - step] if i >= step else 0
        row[i] = row[i] + (0, left, up, (left + up) // 2, paeth(left, up, corner))[kind] & 255
    return row


def picture(path, rows):
    """The first rows of a PNG with 8 bits a channel: lists of bytes, and the bytes of a pixel."""
    data = open(path, "rb").read()
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        sys.exit(f"{path} is no PNG")
    parts = list(chunks(data))
    width, height, bits, colour, _, _, interlace = struct.unpack(">IIBBBBB", parts[0][1])
    if bits != 8 or colour not in (2, 6) or interlace:
        sys.exit(f"{path}: a kind of PNG not thought of")
    step = 3 if colour == 2 else 4
    raw = zlib.decompress(b"".join(body for kind, body in parts if kind == b"IDAT"))
    found, above = [], bytes(width * step)
    for y in range(min(rows, height)):
        at = y * (width * step + 1)
        above = unfilter(raw[at], bytearray(raw[at + 1:at + 1 + width * step]), above, step)
        found.append(above)
    return found, step


def main():
    wanted = []
    for word in sys.argv[2:]:
        place, colour = word.split("=")
        x, y = map(int, place.split(","))
        wanted.append((x, y, colour))
    rows, step = picture(sys.argv[1], 1 + max(y for _, y, _ in wanted))
    status = 0
    for x, y, colour in wanted:
        got = bytes(rows[y][x * step:x * step + 3]).hex() if y < len(rows) else "nothing"
        if got != colour:
            print(f"{sys.argv[1]}: at {x},{y} {got}, not {colour}")
            status = 1
    sys.exit(status)


main()

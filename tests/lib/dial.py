"""Connects, and says how that went: "ok", or the errno's name, and the milliseconds it took.
    dial.py HOST PORT [--non-blocking] [--timeout S]"""
import errno
import select
import socket
import sys
import time


def blocking(address, timeout):
    s = socket.socket()
    s.settimeout(None)
    del timeout
    s.connect(address)


def non_blocking(address, timeout):
    s = socket.socket()
    s.setblocking(False)
    started = time.monotonic()
    err = s.connect_ex(address)
    assert err == errno.EINPROGRESS, errno.errorcode.get(err, err)
    assert time.monotonic() - started < 0.2, "a non-blocking connect blocked"
    poll = select.poll()
    poll.register(s, select.POLLOUT)
    if not poll.poll(timeout * 1000):
        raise TimeoutError(errno.ETIMEDOUT, "no event")
    err = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if err:
        raise OSError(err, "SO_ERROR")


def main():
    args = sys.argv[1:]
    timeout = float(args[args.index("--timeout") + 1]) if "--timeout" in args else 150
    address = socket.getaddrinfo(args[0], int(args[1]), socket.AF_INET, socket.SOCK_STREAM)[0][4]
    started = time.monotonic()
    try:
        (non_blocking if "--non-blocking" in args else blocking)(address, timeout)
        result = "ok"
    except OSError as e:
        result = errno.errorcode.get(e.errno, str(e))
    print(result, int((time.monotonic() - started) * 1000))


main()

/* Any bytes at every getter of ipc.h and at the names of sockets: nothing is read outside, and whatever
 * decodes encodes to the same bytes. */
#include "include/ipc.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

#define RE(name, type)                                                                                       \
    static void re_##name(struct reader *r, struct writer *w)                                                \
    {                                                                                                        \
        struct type v = {0};                                                                                 \
        ipc_get_##name(r, &v);                                                                               \
        ipc_put_##name(w, &v);                                                                               \
    }
RE(info, ipc_info)
RE(suffixes, ipc_suffixes)
RE(resolved, ipc_resolved)
RE(connect, ipc_connect)
RE(socket, ipc_socket)
RE(sock_reset, ipc_sock_reset)
RE(sock_state, ipc_sock_state)
RE(listen, ipc_listen)
RE(bound, ipc_bound)
RE(pair, ipc_pair)
RE(udp_open, ipc_udp_open)

static void re_name(struct reader *r, struct writer *w)
{
    struct ipc_name n;
    ipc_get_name(r, &n);
    require(n.len <= IPC_NAME_MAX);
    put_bytes(w, n.name, n.len);
    if (reader_ok(r))
        require(strlen(n.name) == n.len);
}

static void re_address(struct reader *r, struct writer *w)
{
    struct addr a;
    get_addr_or_none(r, &a);
    put_addr_or_none(w, &a);
}

static void (*const body[])(struct reader *, struct writer *) = {
    re_info,
    re_suffixes,
    re_resolved,
    re_connect,
    re_socket,
    re_sock_reset,
    re_sock_state,
    re_listen,
    re_bound,
    re_pair,
    re_udp_open,
    re_name,
    re_address,
};

static void messages(const uint8_t *p, size_t len)
{
    uint8_t out[8192];
    for (size_t i = 0; i < ARRAY_LEN(body); i++) {
        struct reader r = reader_of(p, len);
        struct writer w = writer_of(out, sizeof(out));
        struct ipc_header h;
        ipc_get_header(&r, &h);
        ipc_put_header(&w, h.type, h.serial);
        body[i](&r, &w);
        if (reader_done(&r))
            require(writer_ok(&w) && writer_len(&w) == len && !memcmp(out, p, len));
    }
}

static void names(const uint8_t *p, size_t len)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX}, back;
    struct sock_name n;
    if (len > sizeof(un.sun_path))
        len = sizeof(un.sun_path);
    memcpy(un.sun_path, p, len);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    if (sock_name_decode(&un, size, &n))
        return;
    require(sock_name_encode(&n, &back) == size && !memcmp(&un, &back, size));
}

/* A name of its own making: it must come back. */
static void made_names(const uint8_t *p, size_t len)
{
    struct sock_name n, back;
    struct sockaddr_un un;
    struct reader r = reader_of(p, len);
    n.side = get_u8(&r) & 1 ? 'p' : 'd';
    n.handle = get_u64(&r);
    get_addr(&r, &n.local);
    get_addr(&r, &n.remote);
    if (!reader_ok(&r))
        return;
    socklen_t size = sock_name_encode(&n, &un);
    require(sock_name_decode(&un, size, &back) == 0);
    require(back.side == n.side && back.handle == n.handle && addr_eq(&back.local, &n.local) &&
            addr_eq(&back.remote, &n.remote));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 4096)
        return 0;
    uint8_t *p = malloc(size);
    memcpy(p, data, size);
    messages(p, size);
    names(p, size);
    made_names(p, size);
    free(p);
    return 0;
}

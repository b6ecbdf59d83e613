#include "daemon/program/dgram_file.h"

#include "daemon/program/line.h"
#include "include/ipc.h"

enum { LINE_ROOM = 160 };

char *dgrams_format(const struct dgrams *d, size_t *len)
{
    size_t cap = ((size_t)usocks_count(d) + mirrors_count(d)) * LINE_ROOM + 1;
    char *text = malloc(cap), a[INET6_ADDRSTRLEN], b[INET6_ADDRSTRLEN];
    *len = 0;
    if (!text)
        return NULL;
    text[0] = '\0';
    for (const struct usock *u = usock_next(d, NULL); u; u = usock_next(d, u))
        if (u->server)
            *len += (size_t)snprintf(text + *len, cap - *len, "udp %s %u %llu %s %u %u\n", line_ip(&u->at, a), u->at.port,
                (unsigned long long)u->cookie, line_ip(&u->asked, b), u->asked.port, u->flags);
    for (const struct mirror *m = mirror_next_asked(d, NULL); m; m = mirror_next_asked(d, m))
        *len += (size_t)snprintf(text + *len, cap - *len, "mirror %s %u %s %u\n", line_ip(&m->virt, a), m->virt.port,
            line_ip(&m->real, b), m->real.port);
    return text;
}

static bool parse_line(const char *line, struct dgram_line *out)
{
    char a[INET6_ADDRSTRLEN], b[INET6_ADDRSTRLEN];
    unsigned port, real_port, flags;
    unsigned long long cookie;
    *out = (struct dgram_line){0};
    if (sscanf(line, "udp %45s %u %llu %45s %u %u", a, &port, &cookie, b, &real_port, &flags) == 6) {
        out->cookie = cookie;
        out->flags = (uint8_t)flags;
        return !(flags & ~IPC_LISTEN_FLAGS) && line_addr(&out->a, a, port) && line_addr(&out->asked, b, real_port);
    }
    out->mirror = sscanf(line, "mirror %45s %u %45s %u", a, &port, b, &real_port) == 4;
    return out->mirror && line_addr(&out->a, a, port) && line_addr(&out->real, b, real_port);
}

bool dgrams_parse(const char **at, struct dgram_line *out)
{
    while (*at && **at) {
        const char *line = *at, *end = strchr(line, '\n');
        *at = end ? end + 1 : NULL;
        if (parse_line(line, out))
            return true;
    }
    return false;
}

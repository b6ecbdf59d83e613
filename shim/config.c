#include "shim/config.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

static struct config config;
static int loaded;

/* Joins what fits; leaves "" otherwise. Not snprintf: this may run before libc's own start-up has ended. */
static void join(char *out, size_t cap, const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    out[0] = '\0';
    if (n + m >= cap)
        return;
    memcpy(out, a, n);
    memcpy(out + n, b, m + 1);
}

static void tmp_path(char *out, size_t cap)
{
    char text[32], *p = text + sizeof(text);
    unsigned uid = (unsigned)getauxval(AT_UID);
    *--p = '\0';
    do
        *--p = (char)('0' + uid % 10);
    while (uid /= 10);
    p -= 8;
    memcpy(p, "/tmp/i3-", 8);
    join(out, cap, p, "/i3d.sock");
}

static void load_sock(struct config *c)
{
    const char *sock = getenv("I3_SOCK"), *run = getenv("XDG_RUNTIME_DIR");
    if (sock && *sock) {
        join(c->sock, sizeof(c->sock), sock, "");
    } else if (run && *run) {
        join(c->sock, sizeof(c->sock), run, "/i3/i3d.sock");
    } else {
        tmp_path(c->sock, sizeof(c->sock));
        c->check_owner = true;
    }
}

/* ".i3,.Work.i3" to "i3 work.i3"; what is too long as a whole is not taken at all. */
static void load_zones(struct config *c)
{
    const char *s = getenv("I3_SUFFIX");
    size_t n = 0;
    if (!s || strlen(s) >= sizeof(c->zones))
        s = "";
    for (; *s; s++) {
        bool first = n == 0 || c->zones[n - 1] == ' ';
        bool separates = *s == ',' || *s == ' ';
        if (first && (separates || *s == '.'))
            continue;
        c->zones[n++] = separates ? ' ' : (char)(*s >= 'A' && *s <= 'Z' ? *s + 32 : *s);
    }
    c->zones[n] = '\0';
    if (!n)
        memcpy(c->zones, "i3", 3);
}

static void load_pool(struct config *c)
{
    c->pool = 0x0a000000;
    c->pool_bits = 8;
    const char *s = getenv("I3_POOL");
    const char *slash = s ? strchr(s, '/') : NULL;
    char ip[INET_ADDRSTRLEN];
    struct in_addr in;
    if (!slash || (size_t)(slash - s) >= sizeof(ip))
        return;
    memcpy(ip, s, (size_t)(slash - s));
    ip[slash - s] = '\0';
    unsigned bits = 0;
    for (const char *p = slash + 1; *p; p++) {
        if (*p < '0' || *p > '9' || bits > 32)
            return;
        bits = bits * 10 + (unsigned)(*p - '0');
    }
    if (bits < 1 || bits > 32 || inet_pton(AF_INET, ip, &in) != 1)
        return;
    c->pool = ntohl(in.s_addr);
    c->pool_bits = (uint8_t)bits;
    c->pool_given = true;
}

static bool load_program(struct config *c, const char *s)
{
    const char *hidden = getenv("I3_ANONYMOUS");
    c->anonymous = c->program.all = hidden && !strcmp(hidden, "1");
    size_t n = s ? strlen(s) : 0, token = 2 * IPC_TOKEN_LEN;
    if (!n)
        return !c->anonymous;
    if (n < token + 2 || s[token] != '.')
        return false;
    struct reader r = reader_of(s, token);
    get_hex(&r, c->program.token, IPC_TOKEN_LEN);
    join(c->program.name, sizeof(c->program.name), s + token + 1, "");
    c->has_program = reader_done(&r) && c->program.name[0];
    return c->has_program;
}

const struct config *config_get(void)
{
    if (__atomic_load_n(&loaded, __ATOMIC_ACQUIRE))
        return &config;
    struct config c = {0};
    load_sock(&c);
    load_zones(&c);
    load_pool(&c);
    const char *only = getenv("I3_OVERLAY_ONLY");
    c.overlay_only = only && !strcmp(only, "1");
    const char *strict = getenv("I3_STRICT");
    c.strict = strict && !strcmp(strict, "1");
    c.bad_program = !load_program(&c, getenv("I3_PROGRAM"));
    const char *every = getenv("I3_EVERY_NAME");
    c.every_name = every && !strcmp(every, "1");
    const char *i3run = getenv("I3_RUN");
    join(c.i3run, sizeof(c.i3run), i3run ? i3run : "", "");
    config = c; /* before the constructor there is one thread, and twice the same does no harm */
    __atomic_store_n(&loaded, 1, __ATOMIC_RELEASE);
    return &config;
}

#include "shim/overlay.h"

#include <arpa/inet.h>

#include "include/dns.h"
#include "shim/client.h"
#include "shim/config.h"
#include "shim/explain.h"
#include "shim/known.h"
#include "shim/sys.h"

static bool is_canary(const char *name, size_t len)
{
    static const char canary[] = DNS_CANARY;
    size_t i = 0;
    while (i < len && i < sizeof(canary) - 1 && dns_lower(name[i]) == canary[i])
        i++;
    return i == len && len == sizeof(canary) - 1;
}

/* when to ask again in milliseconds(63) flag(1); 0: not known. What was last heard counts while the daemon does not answer, and it is not
 * asked again for a while then: this stands before look-ups that have nothing to do with us. */
static uint64_t every;

enum { EVERY_LIFE_MS = 1000, EVERY_RETRY_MS = 30000 };

static bool every_name_known(void)
{
    uint64_t word = __atomic_load_n(&every, __ATOMIC_RELAXED);
    return word ? word & 1 : config_get()->every_name;
}

static bool every_name(void)
{
    uint64_t word = __atomic_load_n(&every, __ATOMIC_RELAXED), now = (uint64_t)sys_millis();
    struct ipc_info info;
    if (word && now < word >> 1)
        return word & 1;
    bool flag = every_name_known(), heard = client_info(&info) == 0;
    if (heard)
        flag = info.flags & IPC_INFO_EVERY_NAME;
    __atomic_store_n(&every, (now + (heard ? EVERY_LIFE_MS : EVERY_RETRY_MS)) << 1 | flag, __ATOMIC_RELAXED);
    return flag;
}

bool overlay_left_alone(int status)
{
    if (status != IPC_NOT_VIRTUAL)
        return false;
    __atomic_store_n(&every, (uint64_t)(sys_millis() + EVERY_LIFE_MS) << 1 | 1, __ATOMIC_RELAXED);
    return true;
}

/* Numbers, and this very host, are nobody's to decide about. */
static bool is_question(const char *name)
{
    struct in_addr in;
    size_t len = strlen(name);
    return len && len <= IPC_NAME_MAX && !strchr(name, ':') && !inet_aton(name, &in) && !dns_name_in(name, "localhost", true);
}

/* The daemon says whether a name is the system's. What it cannot be asked about is not. */
static bool is_ours_by_rule(const char *plain)
{
    struct addr a, a6;
    if (known_get(plain, &a, &a6))
        return true;
    int status = client_resolve(plain, &a, &a6);
    if (status == 0 && a.family == 4) {
        overlay_learn(&a, true);
        known_put(plain, &a, &a6);
    }
    return status != IPC_NOT_VIRTUAL;
}

/* One of the suffixes. By hand, since it is asked for every name that any program looks up. */
static bool is_below(const char *name, size_t len)
{
    for (const char *z = config_get()->zones; *z;) {
        size_t n = 0, i = 0;
        while (z[n] && z[n] != ' ')
            n++;
        bool below = n && len > n && name[len - n - 1] == '.';
        while (below && i < n && dns_lower(name[len - n + i]) == z[i])
            i++;
        if (below && i == n)
            return true;
        z += n;
        z += *z == ' ';
    }
    return false;
}

bool overlay_name(const char *name, char out[IPC_NAME_MAX + 1])
{
    size_t len = name ? strlen(name) : 0;
    if (len && name[len - 1] == '.')
        len--;
    bool below = is_below(name, len);
    bool canary = is_canary(name, len), ask = len && !canary && (below ? every_name_known() : is_question(name) && every_name());
    if (!below && !canary && !ask)
        return false;
    if (len > IPC_NAME_MAX)
        len = 0;
    for (size_t i = 0; i < len; i++)
        out[i] = dns_lower(name[i]);
    out[len] = '\0';
    return !ask || !len || is_ours_by_rule(out);
}

/* The pool and its length as one word, top bit set; 0: not known. Asked for once, and after a failure not again for a
 * while, since it stands before every connect that has nothing to do with us. */
static uint64_t pool_word(void)
{
    enum { RETRY_MS = 30000 };
    static uint64_t known;
    static int64_t retry_at;
    const struct config *cfg = config_get();
    if (cfg->pool_given)
        return 1ull << 63 | (uint64_t)cfg->pool_bits << 32 | cfg->pool;
    uint64_t word = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (word)
        return word;
    struct ipc_info info;
    if (sys_millis() >= __atomic_load_n(&retry_at, __ATOMIC_RELAXED)) {
        if (client_info(&info) == 0 && info.pool_bits) {
            word = 1ull << 63 | (uint64_t)info.pool_bits << 32 | info.pool;
            __atomic_store_n(&known, word, __ATOMIC_RELAXED);
            return word;
        }
        __atomic_store_n(&retry_at, sys_millis() + RETRY_MS, __ATOMIC_RELAXED);
    }
    return (uint64_t)cfg->pool_bits << 32 | cfg->pool;
}

bool overlay_covers(const struct addr *a)
{
    if (a->family == 6)
        return addr_has_prefix6(a);
    if (a->family != 4 || a->ip[0] == 127 || a->ip[0] == 0 || a->ip[0] >= 224)
        return false;
    uint64_t word = pool_word();
    unsigned bits = word >> 32 & 63;
    return ((addr_ip4(a) ^ (uint32_t)word) >> (32 - bits)) == 0;
}

bool overlay_shuns(const struct addr *a)
{
    if (!config_get()->anonymous || !a->family || addr_is_loopback(a) || addr_is_any(a) || overlay_covers(a))
        return false;
    explain_outside(a);
    return true;
}

/* address(32) verdict(2) seconds(30), each entry one word. */
enum { VERDICTS = 256, VERDICT_NO = 1, VERDICT_YES = 2, VERDICT_LIFE_S = 10 };
static uint64_t verdicts[VERDICTS];

static uint64_t *verdict_slot(const struct addr *a)
{
    return &verdicts[(addr_ip4(a) * 2654435761u) >> 24];
}

static uint32_t seconds(void)
{
    return (uint32_t)(sys_millis() / 1000) & 0x3fffffff;
}

void overlay_learn(const struct addr *a, bool virtual)
{
    if (a->family != 4)
        return;
    uint64_t v = virtual ? VERDICT_YES : VERDICT_NO;
    __atomic_store_n(verdict_slot(a), (uint64_t)addr_ip4(a) << 32 | v << 30 | seconds(), __ATOMIC_RELAXED);
}

int overlay_verdict(const struct addr *a)
{
    uint64_t word = __atomic_load_n(verdict_slot(a), __ATOMIC_RELAXED);
    bool known = a->family == 4 && word >> 32 == addr_ip4(a) && (word >> 30 & 3);
    int cached = (word >> 30 & 3) == VERDICT_NO ? IPC_NOT_VIRTUAL : 0;
    if (known && ((seconds() - (uint32_t)word) & 0x3fffffff) < VERDICT_LIFE_S)
        return cached;
    char name[IPC_NAME_MAX + 1];
    int status = client_reverse(a, name);
    if (status == CLIENT_DEAD) /* an address which was real stays so */
        return known ? cached : CLIENT_DEAD;
    overlay_learn(a, status != IPC_NOT_VIRTUAL);
    return status == IPC_NOT_VIRTUAL ? IPC_NOT_VIRTUAL : 0;
}

bool overlay_known_real(const struct addr *a)
{
    uint64_t word = __atomic_load_n(verdict_slot(a), __ATOMIC_RELAXED);
    return a->family == 4 && word >> 32 == addr_ip4(a) && (word >> 30 & 3) == VERDICT_NO;
}

bool overlay_is_own(const struct addr *a)
{
    struct ipc_info info;
    if (!overlay_covers(a) || client_info(&info) != 0)
        return false;
    const struct addr *own = a->family == 6 ? &info.own6 : &info.own;
    return own->family == a->family && memcmp(own->ip, a->ip, sizeof(a->ip)) == 0;
}

socklen_t overlay_sockaddr(const struct addr *a, int family, struct sockaddr_storage *ss)
{
    socklen_t len = addr_to_sockaddr(a, ss);
    if (family != AF_INET6 || a->family != 4)
        return len;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;
    memset(ss, 0, sizeof(*ss));
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(a->port);
    in6->sin6_addr.s6_addr[10] = in6->sin6_addr.s6_addr[11] = 0xff;
    memcpy(in6->sin6_addr.s6_addr + 12, a->ip, 4);
    return sizeof(*in6);
}

void overlay_copy_out(const struct sockaddr_storage *ss, socklen_t full, void *sa, socklen_t *len)
{
    memcpy(sa, ss, *len < full ? *len : full);
    *len = full;
}

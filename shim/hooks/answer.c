#include "shim/hooks/answer.h"

#include <netdb.h>

#include "shim/client.h"
#include "shim/config.h"
#include "shim/hooks/resolve.h"
#include "shim/overlay.h"

bool question_ours(const char *name, struct question *q)
{
    struct addr a;
    char plain[DNS_NAME_MAX + 1];
    size_t len = name ? strlen(name) : 0;
    q->reverse = false;
    if (overlay_name(name, q->name))
        return true;
    if (len && name[len - 1] == '.')
        len--;
    if (!len || len > DNS_NAME_MAX)
        return false;
    memcpy(plain, name, len);
    plain[len] = '\0';
    if (!dns_parse_reverse(plain, &a))
        return false;
    q->reverse = true;
    q->status = reverse_name(&a, q->name);
    return q->status != IPC_NOT_VIRTUAL;
}

static void reverse_facts(const struct question *q, struct dns_facts *f)
{
    if (q->status == CLIENT_DEAD || q->status == EAGAIN)
        f->rcode = DNS_SERVFAIL;
    else if (q->status)
        f->rcode = DNS_NXDOMAIN;
    else
        memcpy(f->ptr, q->name, strlen(q->name) + 1);
}

static void name_facts(const struct question *q, struct dns_facts *f)
{
    static const enum dns_rcode code[] = {
        [RESOLVE_OK] = DNS_NOERROR, [RESOLVE_UNKNOWN] = DNS_NXDOMAIN, [RESOLVE_LATER] = DNS_SERVFAIL, [RESOLVE_SYSTEM] = DNS_NXDOMAIN,
        [RESOLVE_FAILED] = DNS_REFUSED, [RESOLVE_EMPTY] = DNS_NOERROR};
    f->zone = dns_zone_of(q->name, config_get()->zones, true);
    f->zone = f->zone ? f->zone : 1; /* the last label: of DNS_CANARY, or of a name that a rule has brought here */
    f->rcode = code[resolve_name(q->name, &f->a, &f->a6)];
    if (f->rcode != DNS_NOERROR || !f->a.family)
        f->a.family = f->a6.family = 0;
}

size_t question_answer(const struct question *q, const uint8_t *msg, size_t len, const struct dns_question *asked, uint8_t *out,
    size_t cap, int *herr)
{
    struct dns_facts f = {0};
    struct dns_edns e;
    unsigned records;
    if (dns_get_edns(msg, len, asked, &e))
        f.rcode = DNS_FORMERR;
    else if (q->reverse)
        reverse_facts(q, &f);
    else
        name_facts(q, &f);
    size_t n = dns_put_reply(out, cap, msg, asked, &e, &f, &records);
    *herr = records                     ? 0
            : f.rcode == DNS_NXDOMAIN   ? HOST_NOT_FOUND
            : f.rcode == DNS_SERVFAIL   ? TRY_AGAIN
            : f.rcode == DNS_NOERROR    ? NO_DATA
                                        : NO_RECOVERY;
    return n;
}

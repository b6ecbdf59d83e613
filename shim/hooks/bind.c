/* bind.c - bind and listen: the daemon learns of what can be reached, and gives addresses that the kernel does not (claim.h). */
#include "shim/claim.h"
#include "shim/config.h"
#include "shim/libc.h"
#include "shim/overlay.h"
#include "shim/sys.h"

static int fail(int err)
{
    errno = -err;
    return -1;
}

/* An anonymous program has one virtual address for each ring, which only its connections know. To its own address and any port, as FTP
 * clients do before they connect: connect() gives it both, as with IP_BIND_ADDRESS_NO_PORT. */
static bool is_put_off(int fd, const struct addr *a)
{
    return config_get()->anonymous && a->family && !a->port && overlay_covers(a) && sys_sockopt_int(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM;
}

HOOK int bind(int fd, const struct sockaddr *sa, socklen_t len)
{
    struct addr a = {0};
    int saved = errno;
    if (len >= sizeof(struct sockaddr_in) && len <= sizeof(struct sockaddr_storage) && sys_readable(sa, len))
        a = addr_from_sockaddr(sa, len);
    int err = 0;
    if (is_put_off(fd, &a))
        return 0;
    if (!(a.family && overlay_is_own(&a)) && !claim_fenced(fd, &a, &err)) {
        if (err < 0)
            return fail(err);
        int rc = REAL(bind)(fd, sa, len);
        if (rc == 0)
            claim_after_bind(fd, &a);
        if (rc == 0 || !a.family || !claim_wanted(fd, &a, errno))
            return rc;
        errno = saved;
    }
    err = claim_bind(fd, sa->sa_family, &a);
    return err < 0 ? fail(err) : 0;
}

HOOK int listen(int fd, int backlog)
{
    int err = claim_fence(fd);
    if (err < 0)
        return fail(err);
    int rc = REAL(listen)(fd, backlog);
    err = rc < 0 ? 0 : claim_tell(fd);
    return err < 0 ? fail(err) : rc;
}

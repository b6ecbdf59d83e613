#include "shim/epolls.h"

#include <stdbool.h>
#include <stdint.h>

#include "shim/sys.h"

enum { BUCKETS = 16384 };

/* key: epfd and fd, each plus one; 0: free. A slot is claimed by its key; two threads that change the registration of one
 * fd in one epoll at a time race in the kernel as well. */
static struct watch {
    uint64_t key;
    uint64_t data;
    uint32_t events;
} table[BUCKETS][EPOLLS_WAYS];

static uint64_t key_of(int epfd, int fd)
{
    return (uint64_t)(uint32_t)(epfd + 1) << 32 | (uint32_t)(fd + 1);
}

static int key_fd(uint64_t key)
{
    return (int)(uint32_t)key - 1;
}

static struct watch *find(int epfd, int fd)
{
    struct watch *w = table[(unsigned)fd % BUCKETS];
    for (int i = 0; i < EPOLLS_WAYS; i++)
        if (__atomic_load_n(&w[i].key, __ATOMIC_ACQUIRE) == key_of(epfd, fd))
            return &w[i];
    return NULL;
}

static struct watch *claim(int epfd, int fd)
{
    struct watch *w = table[(unsigned)fd % BUCKETS], *other = &w[0];
    for (int i = 0; i < EPOLLS_WAYS; i++) {
        uint64_t key = 0;
        if (__atomic_compare_exchange_n(&w[i].key, &key, key_of(epfd, fd), false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            return &w[i];
        if (key_fd(key) != fd)
            other = &w[i];
    }
    __atomic_store_n(&other->key, key_of(epfd, fd), __ATOMIC_RELEASE);
    return other;
}

void epolls_set(int epfd, int fd, const struct epoll_event *event)
{
    struct watch *w = find(epfd, fd);
    if (!w)
        w = claim(epfd, fd);
    __atomic_store_n(&w->data, event->data.u64, __ATOMIC_RELAXED);
    __atomic_store_n(&w->events, event->events, __ATOMIC_RELEASE);
}

void epolls_detach(int fd, struct epolls_saved *saved)
{
    struct watch *w = table[(unsigned)fd % BUCKETS];
    saved->n = 0;
    for (int i = 0; i < EPOLLS_WAYS; i++) {
        uint64_t key = __atomic_load_n(&w[i].key, __ATOMIC_ACQUIRE);
        int epfd = (int)(key >> 32) - 1;
        if (!key || key_fd(key) != fd)
            continue;
        if (sys_epoll_ctl(epfd, EPOLL_CTL_DEL, fd, NULL) < 0) {
            __atomic_compare_exchange_n(&w[i].key, &key, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
            continue;
        }
        saved->watch[saved->n].epfd = epfd;
        saved->watch[saved->n].event.events = __atomic_load_n(&w[i].events, __ATOMIC_ACQUIRE);
        saved->watch[saved->n].event.data.u64 = __atomic_load_n(&w[i].data, __ATOMIC_RELAXED);
        saved->n++;
    }
}

void epolls_attach(int fd, const struct epolls_saved *saved)
{
    for (int i = 0; i < saved->n; i++) {
        struct epoll_event event = saved->watch[i].event;
        sys_epoll_ctl(saved->watch[i].epfd, EPOLL_CTL_ADD, fd, &event);
    }
}

#include "daemon/io/secret.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "daemon/base/log.h"

enum { CHUNK = 64 << 10, FIRST = 32, CLASSES = 10, HEAD = 16 };

#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif

/* Before each piece, so that its size is known when it comes back. */
struct head {
    _Alignas(HEAD) size_t size; /* with the head */
};
static_assert(sizeof(struct head) == HEAD, "pieces are aligned as malloc's are");

struct piece {
    struct piece *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct piece *free_pieces[CLASSES];
static uint8_t *chunk[CLASSES];  /* what is left of the newest one */
static size_t chunk_left[CLASSES];
static size_t locked;
static bool unlocked;

static void raise_limit(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_MEMLOCK, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_MEMLOCK, &r);
    }
}

static void say_once(int err)
{
    struct rlimit r = {0};
    if (unlocked)
        return;
    unlocked = true;
    getrlimit(RLIMIT_MEMLOCK, &r);
    log_warn("keys are not all locked in memory err=%d limit_kb=%llu: a larger 'ulimit -l' helps, or encrypted swap", err,
        (unsigned long long)r.rlim_cur / 1024);
}

static void *map(size_t size)
{
    static bool raised;
    if (!raised)
        raise_limit();
    raised = true;
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    madvise(p, size, MADV_DONTDUMP);
    if (mlock2(p, size, MLOCK_ONFAULT) == 0 || (errno == ENOSYS && mlock(p, size) == 0))
        locked += size;
    else
        say_once(errno);
    return p;
}

static unsigned class_of(size_t size)
{
    unsigned c = 0;
    while (c < CLASSES && (size_t)FIRST << c < size)
        c++;
    return c;
}

/* CLASSES: a mapping of its own. */
static void *take(unsigned c, size_t size)
{
    struct piece *p = c < CLASSES ? free_pieces[c] : NULL;
    size_t piece = (size_t)FIRST << c;
    if (c == CLASSES)
        return map(size);
    if (p) {
        free_pieces[c] = p->next;
        p->next = NULL;
        return p;
    }
    if (chunk_left[c] < piece) {
        if (!(chunk[c] = map(CHUNK)))
            return NULL;
        chunk_left[c] = CHUNK;
    }
    chunk_left[c] -= piece;
    return chunk[c] + chunk_left[c];
}

void *secret_new(size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size += HEAD;
    unsigned c = class_of(size);
    size = c < CLASSES ? (size_t)FIRST << c : (size + 4095) & ~(size_t)4095;
    pthread_mutex_lock(&lock);
    struct head *h = take(c, size);
    pthread_mutex_unlock(&lock);
    if (!h)
        return NULL;
    h->size = size;
    return h + 1;
}

void secret_free(void *p)
{
    if (!p)
        return;
    struct head *h = (struct head *)p - 1;
    size_t size = h->size;
    unsigned c = class_of(size);
    explicit_bzero(h, size);
    pthread_mutex_lock(&lock);
    if (c == CLASSES) {
        munmap(h, size);
        locked -= locked < size ? locked : size;
    } else {
        struct piece *free_one = (struct piece *)h;
        free_one->next = free_pieces[c];
        free_pieces[c] = free_one;
    }
    pthread_mutex_unlock(&lock);
}

/* ---- OpenSSL ---- */

static void *openssl_new(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return secret_new(size);
}

static void openssl_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    secret_free(p);
}

static void *openssl_resize(void *p, size_t size, const char *file, int line)
{
    (void)file, (void)line;
    size_t had = p ? ((struct head *)p - 1)->size - HEAD : 0;
    if (p && size <= had && size)
        return p;
    void *more = size ? secret_new(size) : NULL;
    if (p && (more || !size)) {
        if (more)
            memcpy(more, p, had);
        secret_free(p);
    }
    return more;
}

void secret_openssl(void)
{
    CRYPTO_set_mem_functions(openssl_new, openssl_resize, openssl_free);
}

bool secret_all_locked(void)
{
    return !unlocked;
}

size_t secret_locked(void)
{
    return locked;
}

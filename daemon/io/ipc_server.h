/* ipc_server.h - the daemon's Unix socket: SOCK_SEQPACKET, the owner's uid only, one callback per record. */
#ifndef I3_IPC_SERVER_H
#define I3_IPC_SERVER_H

#include "daemon/io/fdset.h"
#include "include/ipc.h"

/* Bounds. Clients, all of the owner's uid: beyond CLIENTS_MAX, and without a file descriptor, new ones are closed at once; one process has at
 * most as many as are left for others, but always CLIENTS_LEAST. What one client has asked and waits for: REQUESTS_MAX. */
enum { IPC_CLIENTS_MAX = 8192, IPC_CLIENTS_LEAST = 64, IPC_REQUESTS_MAX = 4096, IPC_APP_MAX = 127 };

struct ipc_server;
struct ipc_client;

/* One record of a client. The buffer is valid during the call. */
typedef void ipc_record_fn(void *ctx, struct ipc_client *c, const uint8_t *p, size_t len);
/* The client is gone; its pointer dies with the call. */
typedef void ipc_gone_fn(void *ctx, struct ipc_client *c);

/* A listening socket at `path`, which is replaced if it is there: the caller holds the lock of the folder. The fd or -errno. */
int ipc_listen(const char *path);
/* Listens at `path`; or by `passed`, unless that is 0, which somebody else has made for that path: `stays`, it is theirs when we end as well.
 * 0 or -errno. */
int ipc_server_open(struct ipc_server **out, struct fdset *set, const char *path, int passed, bool stays, ipc_record_fn *record,
    ipc_gone_fn *gone, void *ctx);
void ipc_server_close(struct ipc_server *s);
/* Root may talk to it as well. */
void ipc_server_admit_root(struct ipc_server *s);
/* The file name of the program that it is, "" if that is not to be known. It is asked for once (io/exe.h). */
const char *ipc_client_app(struct ipc_client *c);
/* The caller's own, NULL at first. */
void *ipc_client_mark(const struct ipc_client *c);
void ipc_client_set_mark(struct ipc_client *c, void *mark);
unsigned ipc_server_clients(const struct ipc_server *s);
/* Closed at once, ever. */
uint64_t ipc_server_refused(const struct ipc_server *s);
/* It waits for one answer more; false: for too many. And for one less. */
bool ipc_client_waits(struct ipc_client *c);
void ipc_client_has(struct ipc_client *c);

/* Sends a record, with fd unless it is -1 (which stays the caller's). A client that does not read is dropped: -EPIPE,
 * and its `gone` follows at the end of the turn. */
int ipc_send(struct ipc_client *c, const uint8_t *p, size_t len, int fd);

#endif

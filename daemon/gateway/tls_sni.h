/* tls_sni.h - for whom a TLS connection is: the server_name of its ClientHello (RFC 8446, 6066). Nothing else of it is looked at or changed.
 *
 *     record   22 | version 2 | length 2 | part of a handshake message   one message may lie in several records
 *     message   1 | length 3 | version 2 | random 32 | session id | suites | compressions | extensions
 *     extension 0 | length 2 | list 2 | 0 | length 2 | name
 *
 * Bound: TLS_HELLO_MAX bytes of records.
 */
#ifndef I3_TLS_SNI_H
#define I3_TLS_SNI_H

#include <stddef.h>
#include <stdint.h>

enum { TLS_HELLO_MAX = 16384, TLS_NAME_MAX = 255 };

/* Alerts (RFC 8446, 6.2). */
enum { TLS_HANDSHAKE_FAILURE = 40, TLS_ACCESS_DENIED = 49, TLS_DECODE_ERROR = 50, TLS_INTERNAL_ERROR = 80, TLS_UNRECOGNIZED_NAME = 112 };

/* 0: name is filled, lower case. -EAGAIN: there is more to come. -ENOENT: it names nobody. -EBADMSG: it is no ClientHello, or a wrong one.
 * -EMSGSIZE: it is too long. */
int tls_sni(const uint8_t *p, size_t len, char name[TLS_NAME_MAX + 1]);

enum { TLS_ALERT_LEN = 7 };
/* A fatal alert, in a record of its own. */
void tls_alert(uint8_t out[TLS_ALERT_LEN], uint8_t description);

#endif

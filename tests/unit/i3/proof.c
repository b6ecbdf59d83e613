/* Proofs of a trigger's key: golden bytes from the X25519 of golden_handshake.py and python's hashlib and hmac,
 *
 *     shared = x25519(key(1), public(key(2)))
 *     k = hashlib.blake2s(b"i3run trigger v1" + shared + public(key(1)) + public(key(2))).digest()
 *     hmac.new(k, b"a packet", hashlib.blake2s).digest()[:16]
 */
#include "daemon/i3/proof.h"

#include <check.h>
#include <stdlib.h>

#include "tests/lib/suite.h"
#include "tests/unit/i3/hex.h"

static const char key_hex[] = "c4c282cff919e3a3690b9afddee60f44a34fa5a8791ec6f441d794d15e489ebf";
static const char mac_hex[] = "7a9d4e553381edc005aa9cb71120d3fe";

START_TEST(both_ends_derive_the_golden_key)
{
    uint8_t host[32], node[32], host_pub[32], node_pub[32], want[32], mac[MAC_LEN], packet[8 + MAC_LEN] = "a packet";
    struct proof_key a, b;
    fill_key(host, 1);
    fill_key(node, 2);
    x25519_public(host_pub, host);
    x25519_public(node_pub, node);
    ck_assert_int_eq(proof_key_derive(&a, host, node_pub, host_pub, node_pub), 0);
    ck_assert_int_eq(proof_key_derive(&b, node, host_pub, host_pub, node_pub), 0);
    unhex(key_hex, want, sizeof(want));
    ck_assert_mem_eq(a.b, want, sizeof(want));
    ck_assert_mem_eq(b.b, want, sizeof(want));

    proof_mac(mac, &a, packet, 8);
    unhex(mac_hex, want, MAC_LEN);
    ck_assert_mem_eq(mac, want, MAC_LEN);
    memcpy(packet + 8, mac, MAC_LEN);
    ck_assert(proof_check(&b, packet, sizeof(packet)));
    for (size_t at = 0; at < sizeof(packet); at++) {
        packet[at] ^= 1;
        ck_assert(!proof_check(&b, packet, sizeof(packet)));
        packet[at] ^= 1;
    }
    for (size_t len = 0; len < sizeof(packet); len++)
        ck_assert(!proof_check(&b, packet, len));
}
END_TEST

START_TEST(a_proof_binds_both_keys)
{
    uint8_t host[32], node[32], host_pub[32], node_pub[32], other[32], zero[32] = {0};
    struct proof_key a, b;
    fill_key(host, 1);
    fill_key(node, 2);
    fill_key(other, 3);
    x25519_public(host_pub, host);
    x25519_public(node_pub, node);
    ck_assert_int_eq(proof_key_derive(&a, host, node_pub, host_pub, node_pub), 0);
    ck_assert_int_eq(proof_key_derive(&b, host, node_pub, other, node_pub), 0);
    ck_assert_mem_ne(a.b, b.b, sizeof(a.b));
    ck_assert_int_eq(proof_key_derive(&b, host, node_pub, host_pub, other), 0);
    ck_assert_mem_ne(a.b, b.b, sizeof(a.b));
    ck_assert_int_eq(proof_key_derive(&b, host, zero, host_pub, zero), -EKEYREJECTED);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("i3/proof");
    TCase *t = tcase_create("proof");
    tcase_add_test(t, both_ends_derive_the_golden_key);
    tcase_add_test(t, a_proof_binds_both_keys);
    suite_add_tcase(s, t);
    return suite_run(s);
}

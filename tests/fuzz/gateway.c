/* Words of a gateway, and ranges of addresses as i3.conf has them: what is read is written back the same. */
#include "daemon/gateway/words.h"
#include "daemon/policy/networks.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t out[GATE_WORD_MAX];
    struct gate_ask a;
    struct gate_answer w;
    struct gate_unknown u;
    struct gate_refused r;
    char text[128], again[NETWORK_STR], third[NETWORK_STR];
    struct network n, m;
    if (!gate_ask_decode(data, len, &a))
        assert(gate_ask_encode(out, sizeof(out), &a) == len && !memcmp(out, data, len));
    if (!gate_answer_decode(data, len, &w))
        assert(gate_answer_encode(out, sizeof(out), &w) == len && (w.status == GATE_FAILED || !memcmp(out, data, len)));
    if (!gate_unknown_decode(data, len, &u))
        assert(gate_unknown_encode(out, sizeof(out), &u) == len && !memcmp(out, data, len));
    if (!gate_refused_decode(data, len, &r))
        assert(gate_refused_encode(out, sizeof(out), &r) == len && (r.why == GATE_FAILED || !memcmp(out, data, len)));
    if (len && len < sizeof(text)) {
        memcpy(text, data, len);
        text[len] = '\0';
        if (!network_parse(&n, text))
            assert(!network_parse(&m, network_text(&n, again)) && !strcmp(network_text(&m, third), again));
    }
    return 0;
}

/* Any text as i3.conf: either values within their bounds, or one line that says what is wrong; and no text
 * leaves the parser in a state that spoils the next. */
#include "daemon/policy/config.h"

#include <errno.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void check(const struct config *c)
{
    require(c->n_nodes <= CONFIG_NODES_MAX);
    for (unsigned i = 0; i < c->n_nodes; i++)
        require((c->nodes[i].family == 4 || c->nodes[i].family == 6) && c->nodes[i].port);
    require(
        c->network_bits >= 8 && c->network_bits <= 24 && !(c->network & (0xffffffffu >> c->network_bits)));
    require(c->suffix[0] == '.' && c->suffix[1] && memchr(c->suffix, 0, sizeof(c->suffix)));
    require(c->mtu >= 576 && c->mtu <= 9000 && c->connections >= 1 && c->log_level >= 0 && c->log_level <= 3);
    require(c->send_buffer >= 16384 && c->recv_buffer >= 16384 && c->bind.family);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config c;
    char err[200];
    struct addr a;
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    if (config_parse(&c, text, "f", err, sizeof(err)) == 0)
        check(&c);
    else
        require(!strncmp(err, "f:", 2) && strstr(err, ": ") && !strchr(err, '\n'));
    require(config_parse(&c, "mtu = 1234\nlog = \"warn\"", "f", err, sizeof(err)) == 0 && c.mtu == 1234);
    config_parse_addr(&a, text, 1);
    free(text);
    return 0;
}

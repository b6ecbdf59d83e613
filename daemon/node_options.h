/* node_options.h - i3node's command line: every option is one row of a table, every bad value is named with what would be right. */
#ifndef I3_NODE_OPTIONS_H
#define I3_NODE_OPTIONS_H

#include "daemon/io/log_file.h"
#include "daemon/node/node.h"
#include "daemon/pump/node_stream.h"

struct node_options {
    struct addr listen;
    struct addr metrics;     /* family 0: none */
    const char *pid_file, *port_file, *log, *secret_file, *state;
    const char *control;     /* NULL: the default socket */
    bool no_control, background, no_sandbox, check;
    bool ring;               /* to be part of one */
    bool credential;         /* secret_file is systemd's, who guards it; its state folder may be a link */
    struct node_stream_config stream; /* its ports and bounds */
    enum log_format log_format;
    enum log_level log_level;
    uint64_t memory;         /* bytes; 0: as the defaults of node.h come to */
    uint32_t rate_per_source, rate_per_trigger; /* packets per second; 0: no limit */
    uint32_t triggers_per_source; /* 0: as many as are free */
    unsigned workers;
    struct ring_config ring_config; /* self, seeds */
};

/* The command line, and what systemd has put into the environment ($STATE_DIRECTORY, $CREDENTIALS_DIRECTORY/ring-secret) where it says
 * nothing. Ends the process where the command line says so: 0 after --help and --version, 2 with a sentence on standard error when
 * something is wrong. */
void node_options_parse(int argc, char **argv, struct node_options *o);

/* What they come to for the node, and the memory of its TCP. Ends the process with 2 when the memory is too small for it. */
void node_options_limits(struct node_options *o, struct node_config *c);

#endif

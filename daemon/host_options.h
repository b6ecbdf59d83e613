/* host_options.h - the command line of i3d. */
#ifndef I3_HOST_OPTIONS_H
#define I3_HOST_OPTIONS_H

#include "daemon/io/log_file.h"
#include "daemon/pump/pump.h"

struct host_options {
    struct pump_paths paths;
    bool ensure, background, check;
    bool config_given; /* by the user, not by default */
    bool keep;        /* to be the keeper (keeper.h), which --ensure starts */
    bool kept;        /* to be started by one */
    bool no_sandbox;
    int ready_fd;     /* where whoever started us waits for a word; -1 */
    int log_level;    /* enum log_level; -1: as the configuration says */
    enum log_format log_format;
};

/* Ends the process where the options are wrong, or ask for a text. */
void host_options_parse(int argc, char **argv, struct host_options *o);

#endif

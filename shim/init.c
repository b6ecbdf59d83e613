/* init.c - the constructor: it binds symbols and reads the environment. It allocates nothing, opens nothing, starts
 * nothing and prints nothing, since it runs inside every program, sandboxed browsers and malloc libraries included. */
#include "shim/config.h"
#include "shim/explain.h"
#include "shim/inherit.h"
#include "shim/libc.h"

#include <stdlib.h>

static void __attribute__((constructor)) shim_init(int argc, char **argv, char **envp)
{
    (void)argc, (void)argv;
    libc_bind_all();
    config_get();
    explain_init(getenv("I3_EXPLAIN"));
    inherit_init(envp);
}

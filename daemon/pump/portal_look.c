#include "daemon/pump/control.h"
#include "daemon/pump/portal_impl.h"

void verb_portal(struct control_call *k)
{
    control_fail(k, report_error("no portal"));
}

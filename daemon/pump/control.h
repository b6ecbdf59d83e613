/* pump/control.h - what the files with i3ctl's verbs share. */
#ifndef I3_PUMP_CONTROL_H
#define I3_PUMP_CONTROL_H

#include "daemon/control/overlay_report.h"
#include "daemon/control/report.h"
#include "daemon/pump/impl.h"

enum { CONTROL_ARGS_MAX = 24 };

struct control_call {
    struct pump *p;
    struct ipc_client *client;
    uint32_t serial;
    const uint8_t *record; /* as it came, to be run again */
    size_t record_len;
    int argc;
    char *argv[CONTROL_ARGS_MAX];
};

/* The answer; json: from malloc, freed there. */
void control_done(struct control_call *k, char *json);
void control_fail(struct control_call *k, char *json);
/* With an exit status of its own. */
void control_fail_with(struct control_call *k, uint8_t status, char *json);
/* The name without the suffix, which people may type or not; cut in place. */
const char *control_bare_name(const struct pump *p, char *name);
/* The error when a name that is known by one key comes with another. */
char *control_changed_key(const char *name, const uint8_t old[KEY_LEN], const uint8_t new[KEY_LEN]);

/* The same where of the new one only the fingerprint is known. */
char *control_changed_id(const char *name, const uint8_t old[KEY_LEN], const char *is);

/* pump/share_control.c, pump/rotate.c */
void verb_share(struct control_call *k);
void verb_unshare(struct control_call *k);
void verb_join(struct control_call *k);
void verb_peers(struct control_call *k);
void verb_rotate(struct control_call *k);

/* All that the reports are made of, but for what is counted (pump/look.c). */
struct report_view control_view(struct pump *p);

/* pump/look.c */
void verb_status(struct control_call *k);
void verb_metrics(struct control_call *k);

/* pump/gate_control.c */
void verb_gateway(struct control_call *k);

/* pump/drop.c */
void verb_box(struct control_call *k);
void verb_alerts(struct control_call *k);
void verb_drop(struct control_call *k);
void verb_anonymous(struct control_call *k); /* pump/anon.c */
void verb_undrop(struct control_call *k);

/* pump/trace.c */
void verb_trace(struct control_call *k);

/* pump/nodes_control.c */
void verb_nodes(struct control_call *k);
/* All overlays, or that one; returns how many. */
unsigned overlays_describe(struct pump *p, const struct overlay *only, struct report_overlay out[OVERLAYS_MAX]);
/* pump/reload.c, pump/why.c */
void verb_reload(struct control_call *k);
void verb_why(struct control_call *k);
void verb_mesh(struct control_call *k);

/* pump/portal_look.c */
void verb_portal(struct control_call *k);

/* pump/group_control.c */
void verb_group(struct control_call *k);
/* The groups as status shows them; returns how many. */
unsigned group_report(const struct pump *p, struct report_group out[GROUPS_MAX]);

#endif

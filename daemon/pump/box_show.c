#include "daemon/pump/box.h"
int box_show_start(struct pump *p) { (void)p; return 0; }
void box_show_stop(struct pump *p) { (void)p; }
void box_show_turn(struct pump *p) { (void)p; }
mono_t box_show_deadline(const struct pump *p) { (void)p; return MONO_NEVER; }
bool box_show(struct pump *p, struct route *r, unsigned in, uint8_t *word, size_t len) { (void)p; (void)r; (void)in; (void)word; (void)len; return true; }
void box_show_route_gone(struct pump *p, uint32_t serial) { (void)p; (void)serial; }
unsigned box_show_taps(const struct pump *p, struct tap_state *v, unsigned max) { (void)p; (void)v; (void)max; return 0; }
void box_show_verdicts(const struct pump *p, struct verdict_state *out) { (void)p; (void)out; }

/* host_metrics.h - what i3d counts, in Prometheus' text format. Names are stable: new ones come, none changes its meaning.
 *
 * The members of `counters` in i3ctl status are here as i3d_NAME_total, or i3d_NAME where they are no counters but say how much there
 * is now. What has a peer's name in a label is left out for peers beyond REPORT_ROWS_MAX.
 */
#ifndef I3_HOST_METRICS_H
#define I3_HOST_METRICS_H

#include "daemon/control/prom.h"
#include "daemon/control/report.h"

/* Its length, at most cap; the last metric is left out rather than cut. */
size_t host_metrics_write(const struct report_view *v, const struct prom_process *process, char *out, size_t cap);

#endif

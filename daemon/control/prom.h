/* prom.h - writing Prometheus' text format, version 0.0.4. What does not fit any more is left out whole, never cut. */
#ifndef I3_PROM_H
#define I3_PROM_H

#include <stddef.h>
#include <stdint.h>

struct prom {
    char *at;
    size_t left;
};

/* One metric with its two comments. type: "counter" or "gauge". */
void prom_put(struct prom *p, const char *name, const char *type, const char *help, const char *value);
void prom_counter(struct prom *p, const char *name, const char *help, uint64_t value);
void prom_gauge(struct prom *p, const char *name, const char *help, uint64_t value);
/* The version as a label of a gauge that is 1. */
void prom_build(struct prom *p, const char *name, const char *version);

/* The two comments of a metric with labels; then its samples. labels: as between the braces, made with prom_label(). */
void prom_family(struct prom *p, const char *name, const char *type, const char *help);
void prom_sample(struct prom *p, const char *name, const char *labels, uint64_t value);
/* The value of a label as it stands between quotes: backslash, quote and newline escaped. Returns out. */
const char *prom_label(const char *value, char *out, size_t cap);

/* "S.UUUUUU" from microseconds. */
enum { PROM_SECONDS = 32 };
const char *prom_seconds(uint64_t us, char out[PROM_SECONDS]);

/* What every process tells. */
struct prom_process {
    uint64_t resident, virtual_size, cpu_us, started; /* bytes; 0: not known */
    uint32_t fds, fds_max;
};
void prom_process(struct prom *p, const struct prom_process *v);

#endif

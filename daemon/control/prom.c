#include "daemon/control/prom.h"

#include <stdarg.h>
#include <stdio.h>

/* All of it or nothing. */
static void print(struct prom *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void print(struct prom *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(p->at, p->left, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= p->left)
        return;
    p->at += n;
    p->left -= (size_t)n;
}

void prom_put(struct prom *p, const char *name, const char *type, const char *help, const char *value)
{
    print(p, "# HELP %s %s\n# TYPE %s %s\n%s %s\n", name, help, name, type, name, value);
}

static void put_number(struct prom *p, const char *name, const char *type, const char *help, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    prom_put(p, name, type, help, text);
}

void prom_counter(struct prom *p, const char *name, const char *help, uint64_t value)
{
    put_number(p, name, "counter", help, value);
}

void prom_gauge(struct prom *p, const char *name, const char *help, uint64_t value)
{
    put_number(p, name, "gauge", help, value);
}

void prom_build(struct prom *p, const char *name, const char *version)
{
    print(p, "# HELP %s Version of the program.\n# TYPE %s gauge\n%s{version=\"%s\"} 1\n", name, name, name, version);
}

void prom_family(struct prom *p, const char *name, const char *type, const char *help)
{
    print(p, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void prom_sample(struct prom *p, const char *name, const char *labels, uint64_t value)
{
    print(p, "%s{%s} %llu\n", name, labels, (unsigned long long)value);
}

const char *prom_label(const char *value, char *out, size_t cap)
{
    size_t n = 0;
    for (; *value && n + 3 < cap; value++) {
        if (*value == '\\' || *value == '"' || *value == '\n')
            out[n++] = '\\';
        out[n++] = *value == '\n' ? 'n' : *value;
    }
    out[n] = '\0';
    return out;
}

const char *prom_seconds(uint64_t us, char out[PROM_SECONDS])
{
    snprintf(out, PROM_SECONDS, "%llu.%06llu", (unsigned long long)(us / 1000000), (unsigned long long)(us % 1000000));
    return out;
}

void prom_process(struct prom *p, const struct prom_process *v)
{
    char seconds[PROM_SECONDS];
    prom_put(p, "process_cpu_seconds_total", "counter", "User and system time of the process.", prom_seconds(v->cpu_us, seconds));
    if (v->resident) {
        prom_gauge(p, "process_resident_memory_bytes", "Memory in use.", v->resident);
        prom_gauge(p, "process_virtual_memory_bytes", "Memory asked for.", v->virtual_size);
    }
    prom_gauge(p, "process_open_fds", "Open file descriptors.", v->fds);
    prom_gauge(p, "process_max_fds", "File descriptors that it may have.", v->fds_max);
    prom_gauge(p, "process_start_time_seconds", "When it was started, in seconds since 1970.", v->started);
}

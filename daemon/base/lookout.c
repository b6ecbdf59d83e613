#include "daemon/base/lookout.h"

void lookout_events(struct lookout *l, mono_t now, mono_t done)
{
    bool soon = mono_since(l->last, now) < LOOKOUT_US;
    l->last = done;
    if (soon && l->saved < LOOKOUTS_MAX && mono_due(l->paused_until, now))
        l->saved++;
    if (soon)
        l->pause -= l->pause / 64;
}

static void pause(struct lookout *l, mono_t now)
{
    if (l->pause < LOOKOUT_PAUSE)
        l->pause = LOOKOUT_PAUSE;
    l->paused_until = mono_add(now, l->pause);
    l->pause = 2 * l->pause < LOOKOUT_PAUSE_MAX ? 2 * l->pause : LOOKOUT_PAUSE_MAX;
    l->saved = 0;
}

bool lookout_goes_on(struct lookout *l, mono_t yielded, mono_t now)
{
    if (l->saved && mono_since(yielded, now) > LOOKOUT_LATE_US)
        pause(l, now);
    if (!l->saved)
        return false;
    if (mono_since(l->last, now) < LOOKOUT_US)
        return true;
    l->saved--;
    return false;
}

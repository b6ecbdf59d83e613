/* pump/box.h - middle-boxes (middlebox/route.h has the picture), as this daemon has to do with them: it is one; its own packets go by some; some
 * are asked for by it.
 *
 *   box.c          routes: words, packets from one session into the next
 *   box_way.c      ways: which boxes lie between us and a peer, and who says so
 *   box_show.c     what passes a box is shown: taps, verdict programs
 *   box_alert.c    what boxes have found
 *   box_control.c  i3ctl box, i3ctl alerts
 *
 * A way (struct way) belongs to a peer and outlives it by WAY_LINGER. It comes of a rule (`through`), of the peer, which imposes it
 * (`require_through` there), of our own `require_through`, or of the peer's INIT, when it is the other end's.
 */
#ifndef I3_PUMP_BOX_H
#define I3_PUMP_BOX_H

#include "daemon/middlebox/route.h"
#include "daemon/middlebox/show.h"
#include "daemon/middlebox/verdict.h"
#include "daemon/pump/impl.h"

enum { WAYS_MAX = 4096, ALERTS_MAX = 200, ALERTS_PER_S = 10, ALERTS_BURST = 50 /* of a route */ };

/* From the weakest: what is further down takes the place of what is further up. */
enum way_origin { WAY_THEIRS, WAY_REQUIRED, WAY_IMPOSED, WAY_RULE, WAY_ORIGINS };

enum way_state {
    WAY_IDLE,    /* nothing has been sent yet */
    WAY_OPENING, /* OPEN is on its way, or waits for a session */
    WAY_OPEN,
    WAY_REFUSED, /* a box does not want to: tried again later */
    WAY_STATES
};

struct way {
    struct side *s;
    uint8_t key[KEY_LEN]; /* the other end's */
    enum way_origin origin;
    enum way_state state;
    bool passive;  /* the other end opens the route */
    bool anonymous, checking, failing;
    uint16_t mtu;  /* 0: no route */
    struct peer_boxes boxes; /* in the order of what we send */
    char alerts[CONFIG_NAME_MAX + 1];
    struct route *route;     /* NULL: none */
    uint8_t called[KEY_LEN]; /* the last box calls the other end under this key: told by MEMBER, or to us by INTRODUCE; zeros: its own */
    uint8_t choice[BOX_IMPOSED_MAX][KEY_LEN]; /* of WAY_IMPOSED: one of these at the end */
    unsigned n_choice, chosen, failures;
    unsigned tries;
    mono_t due, changed, asked_other;
    uint8_t why; /* enum box_why, where it is refused */
    uint8_t why_hops;
};

struct alert {
    uint64_t time; /* microseconds since 1970 */
    uint8_t box[KEY_LEN], about[KEY_LEN]; /* about: the other end's key, or who passed it on */
    char text[BOX_ALERT_TEXT + 1];
    uint8_t to[KEY_LEN]; /* to be passed on */
    mono_t until;        /* 0: it has been, or need not */
};

struct box_counters {
    uint64_t packets, bytes, dropped; /* as a box */
    uint64_t bypassed;                /* came straight although there are boxes, or should be */
    uint64_t unknown, refused;        /* packets of no route; OPENs */
    uint64_t too_large, alerts, alerts_dropped, opened;
};

struct box_show;

struct boxes {
    struct routes *routes;
    struct way *way[WAYS_MAX]; /* from malloc; a peer's box number is the place + 1 */
    unsigned n_ways;           /* places used, ever at once */
    struct alert alerts[ALERTS_MAX]; /* a ring */
    unsigned alerts_n;         /* ever */
    struct box_show *show;     /* NULL: nothing is looked at */
    struct budget answers;     /* to packets of no route */
    struct budget heard;       /* alerts that come */
    struct box_counters count;
    bool sweep; /* somebody may have nothing to do here any more */
    mono_t due;
};

/* ---- box.c ---- */

int box_start(struct pump *p);
void box_stop(struct pump *p);
mono_t box_deadline(const struct pump *p);
void box_turn(struct pump *p);
/* The configuration, or the book, has changed. */
void box_recheck(struct pump *p);
void box_side_gone(struct side *s);

/* Words of kind INNER_BOX and INNER_BOX_DATA. */
void box_word(struct side *s, struct peer *peer, const uint8_t *msg, size_t len);
void box_data(struct side *s, struct peer *peer, uint8_t ecn, uint8_t *msg, size_t len);
/* Of any peer of the side. True: it is not to be told further, since the peer is asked for by another box. */
bool box_event(struct pump *p, const struct side *s, const struct peer_event *e);
/* May that key use the box; may a session with it be had for a box's sake? */
bool box_may_use(const struct pump *p, const uint8_t key[KEY_LEN]);
bool box_knows(const struct pump *p, const uint8_t key[KEY_LEN]);
/* Names or keys of the configuration: is that key among them? */
bool box_listed(const struct pump *p, const char list[][CONFIG_NAME_MAX + 1], unsigned n, const uint8_t key[KEY_LEN]);
/* A packet which has been looked at goes on: head and packet, len bytes in all, by that end of its route. */
void box_forward(struct pump *p, struct route *r, unsigned out, uint8_t *word, size_t len);
struct route *box_route(struct pump *p, uint32_t serial);
void box_say(struct pump *p, const struct route_end *to, const struct box_word *w);
void route_ask(struct pump *p, struct route *r);
/* Of all that lies at that end of a route: the largest packet. */
uint16_t route_mtu(const struct pump *p, const struct route *r, unsigned end);
struct side *place_side(const struct pump *p, uint64_t place);

static inline uint64_t side_place(const struct side *s)
{
    return (uint64_t)(uintptr_t)s;
}

/* ---- box_alert.c ---- */

/* Something that was seen in this route's packets. */
void box_alert(struct pump *p, struct route *r, const char *text);
/* A box says so of our packets: it stays here, or goes on to whom the rule names. */
void way_alert(struct pump *p, struct way *w, const struct box_word *m);
/* A friend's daemon has passed one on. */
void way_alert_passed_on(struct pump *p, const struct side *s, const struct peer *peer, const struct box_word *m);
/* True: one waits to be passed on. */
bool alerts_turn(struct pump *p);

/* ---- box_way.c ---- */

/* As people call that key. */
const char *box_called(const struct pump *p, const uint8_t *key, char out[BOOK_NAME_MAX + 1]);

/* The name in the book is what rules say something about. */
void box_policy(struct side *s, struct peer *peer, const struct book_entry *e);
/* Packets to that peer of this side go by these boxes (names of the book, in this order); n 0: by none that we ask for. anonymous: the boxes
 * show it under synthesised addresses. alerts: "", "me", or a name. */
void box_want(struct side *s, struct peer *peer, const char names[][CONFIG_NAME_MAX + 1], unsigned n, bool anonymous, const char *alerts);
/* A packet of len bytes to a peer that has boxes: its head, and in whose session. 0, -ENOTCONN (wait), -EMSGSIZE, -EHOSTUNREACH. */
int box_out(const struct side *s, struct peer *peer, size_t len, uint8_t head[BOX_HEAD], struct peer **hop);
/* Is a packet that came in the peer's own session not to be taken? */
bool box_bypassed(struct pump *p, const struct side *s, const struct peer *peer);
/* The largest packet for that peer; `mtu` where there are no boxes. */
uint16_t box_mtu(const struct pump *p, const struct side *s, const struct peer *peer, uint16_t mtu);
/* An INIT of that peer names these boxes. */
void box_named(struct side *s, struct peer *peer, const struct peer_boxes *theirs);
/* It goes by what our own require_through asks for, if by anything. */
bool way_suffices(const struct pump *p, const struct way *w);
struct way *way_of(const struct pump *p, const struct peer *peer);
struct way *way_find(const struct pump *p, const struct side *s, const uint8_t key[KEY_LEN]);
struct way *way_by_token(const struct pump *p, const struct overlay *o, const uint8_t token[BOXES_TOKEN_LEN]);
/* Its route is open, has other sizes, or is gone. */
void way_opened(struct pump *p, struct way *w);
void way_closed(struct pump *p, struct way *w, uint8_t why, uint8_t hops);
void way_sized(struct pump *p, struct way *w);
void way_ask(struct pump *p, struct way *w);
/* The other end would have us open the route. */
void way_asked(struct pump *p, struct way *w);
void way_introduce(struct pump *p, struct way *w);
void boxes_up(struct pump *p, const struct side *s, struct peer *peer, bool anew);
/* True: it is tried by another box. */
bool way_unreachable(struct pump *p, const struct side *s, const struct peer *peer);
void way_imposed(struct pump *p, struct side *s, struct peer *peer, const struct box_word *m);
/* True: something waits to be tried again soon. */
bool ways_turn(struct pump *p);
void ways_free(struct pump *p);
void ways_side_gone(struct side *s);
void way_lost_route(struct pump *p, const struct route *r);
const char *way_origin_name(enum way_origin o);
/* One sentence for i3ctl why: by which boxes a peer goes, and how that stands; false: by none. */
bool box_words(struct pump *p, const uint8_t key[KEY_LEN], char *out, size_t cap);

/* ---- box_show.c ---- */

int box_show_start(struct pump *p);
void box_show_stop(struct pump *p);
void box_show_turn(struct pump *p);
mono_t box_show_deadline(const struct pump *p);
/* A packet that came by end `in` of the route; word: with its head. True: it goes on now; false: it waits, or is no more. */
bool box_show(struct pump *p, struct route *r, unsigned in, uint8_t *word, size_t len);
void box_show_route_gone(struct pump *p, uint32_t serial);

/* i3ctl box: what box_control.c shows of them. */
struct tap_state {
    const char *spec, *state;
    uint64_t written, dropped;
};
unsigned box_show_taps(const struct pump *p, struct tap_state *v, unsigned max);
struct verdict_state {
    const char *path; /* NULL: none */
    unsigned programs, inlined, waiting, flows;
    uint64_t asked, forwarded, dropped, late, unanswered;
};
void box_show_verdicts(const struct pump *p, struct verdict_state *out);

#endif

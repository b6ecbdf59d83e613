/* stream.c - frames over real connections on loopback; the time is the test's own. */
#include "daemon/io/stream.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include "include/bytes.h"
#include "tests/lib/suite.h"

enum { GOT_MAX = 4096 };

static struct streams *s;
static struct addr at; /* where it listens */
static mono_t now;
static struct outbox out;
static struct {
    struct addr from;
    uint32_t len;
    uint8_t first, last;
} got[GOT_MAX];
static unsigned n_got;

static void on_packet(void *ctx, const struct addr *from, uint8_t *p, size_t len)
{
    (void)ctx;
    ck_assert_uint_lt(n_got, GOT_MAX);
    got[n_got].from = *from;
    got[n_got].len = (uint32_t)len;
    got[n_got].first = p[0];
    got[n_got++].last = p[len - 1];
    memset(p, 0xee, len); /* it may be changed in place */
}

static void open_with(const struct streams_config *c)
{
    now = (mono_t){1000000};
    n_got = 0;
    ck_assert_int_eq(streams_new(&s, c), 0);
    for (uint16_t port = 20000; port < 60000; port += 7) {
        at = addr_v4(INADDR_LOOPBACK, (uint16_t)(port + getpid() % 1000));
        if (streams_listen(s, &at) == 0)
            return;
    }
    ck_abort_msg("no port");
}

static void setup(void)
{
    struct streams_config c;
    streams_config_default(&c);
    open_with(&c);
}

static void teardown(void)
{
    streams_free(s);
}

static int dial(void)
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(&at, &ss);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval limit = {10, 0};
    ck_assert(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&ss, len), 0);
    return fd;
}

/* Turns until something has happened, all of it. */
static void turn(void)
{
    struct pollfd p = {streams_fd(s), POLLIN, 0};
    ck_assert_int_eq(poll(&p, 1, 10000), 1);
    while (streams_recv(s, now, on_packet, NULL))
        ;
}

#define TURN_UNTIL(question) \
    while (!(question)) \
    turn()

static void put_frame(int fd, uint8_t *p, size_t len, uint8_t first)
{
    uint8_t f[FRAME_HEAD + FRAME_MAX_LEN];
    frame_head(f, len);
    memset(f + FRAME_HEAD, first, len);
    if (p)
        memcpy(p, f, FRAME_HEAD + len);
    if (fd >= 0)
        ck_assert_int_eq(write(fd, f, FRAME_HEAD + len), (ssize_t)(FRAME_HEAD + len));
}

static bool is_closed(int fd)
{
    uint8_t b[4096];
    ssize_t n;
    while ((n = recv(fd, b, sizeof(b), 0)) > 0)
        ;
    return n == 0 || errno == ECONNRESET;
}

/* The address that the other end of fd has at the node. */
static struct addr address_of(int fd)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    getsockname(fd, (struct sockaddr *)&ss, &len);
    struct addr a = addr_from_sockaddr(&ss, len);
    return addr_by(&a, ADDR_TCP);
}

START_TEST(frames_arrive_whole_wherever_the_stream_is_cut)
{
    static const uint16_t sizes[] = {1, 12, 300, 2, 1461};
    uint8_t all[4096];
    size_t len = 0;
    int fd = dial();
    struct addr from = address_of(fd);
    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
        put_frame(-1, all + len, sizes[i], (uint8_t)(i + 1));
        len += FRAME_HEAD + sizes[i];
    }
    TURN_UNTIL(streams_stats(s)->accepted == 1);
    for (size_t cut = 1; cut < len; cut++) {
        n_got = 0;
        ck_assert_int_eq(write(fd, all, cut), (ssize_t)cut);
        uint64_t want = streams_stats(s)->bytes_in + cut;
        TURN_UNTIL(streams_stats(s)->bytes_in == want);
        ck_assert_int_eq(write(fd, all + cut, len - cut), (ssize_t)(len - cut));
        TURN_UNTIL(n_got == ARRAY_LEN(sizes));
        for (unsigned i = 0; i < n_got; i++) {
            ck_assert_uint_eq(got[i].len, sizes[i]);
            ck_assert_uint_eq(got[i].first, i + 1);
            ck_assert_uint_eq(got[i].last, i + 1);
            ck_assert(addr_eq(&got[i].from, &from));
        }
    }
    close(fd);
}
END_TEST

START_TEST(one_byte_at_a_time_will_do)
{
    uint8_t f[64];
    int fd = dial();
    put_frame(-1, f, 40, 7);
    for (unsigned i = 0; i < 42; i++) {
        ck_assert_int_eq(write(fd, f + i, 1), 1);
        uint64_t want = i + 1;
        TURN_UNTIL(streams_stats(s)->bytes_in == want);
        ck_assert_uint_eq(n_got, i == 41);
    }
    close(fd);
}
END_TEST

START_TEST(the_largest_frame_passes_and_others_end_the_connection)
{
    static const uint16_t heads[] = {0, FRAME_MAX_LEN + 1, 0x4854, 0xffff}; /* the third: of HTTP */
    int fd = dial();
    put_frame(fd, NULL, FRAME_MAX_LEN, 9);
    TURN_UNTIL(n_got == 1);
    ck_assert_uint_eq(got[0].len, FRAME_MAX_LEN);
    close(fd);
    TURN_UNTIL(streams_stats(s)->ended == 1);
    for (unsigned i = 0; i < ARRAY_LEN(heads); i++) {
        uint8_t h[4] = {(uint8_t)(heads[i] >> 8), (uint8_t)heads[i], 1, 2};
        fd = dial();
        put_frame(fd, NULL, 5, 1); /* what came before is taken */
        ck_assert_int_eq(write(fd, h, 4), 4);
        TURN_UNTIL(streams_stats(s)->bad == i + 1);
        ck_assert_uint_eq(n_got, i + 2);
        ck_assert(is_closed(fd));
        close(fd);
    }
    ck_assert_uint_eq(streams_stats(s)->open, 0);
}
END_TEST

static void read_exactly(int fd, uint8_t *p, size_t len)
{
    for (size_t n = 0; n < len;) {
        struct pollfd w = {streams_fd(s), POLLIN, 0};
        ssize_t k = recv(fd, p + n, len - n, MSG_DONTWAIT);
        if (k > 0)
            n += (size_t)k;
        else if (poll(&w, 1, 10) > 0)
            streams_recv(s, now, on_packet, NULL);
    }
}

START_TEST(an_outbox_is_parted_and_each_gets_its_own_in_order)
{
    static uint8_t data[400][100];
    int fd[2] = {dial(), dial()};
    struct addr to[3] = {address_of(fd[0]), address_of(fd[1]), addr_v4(INADDR_LOOPBACK, 9)};
    TURN_UNTIL(streams_stats(s)->accepted == 2);
    outbox_clear(&out);
    for (unsigned i = 0; i < 400; i++) {
        memset(data[i], (int)(i & 0xff), 100);
        ck_assert(outbox_push(&out, &to[i % 3], data[i], 10 + i % 90));
    }
    streams_send(s, now, &out);
    ck_assert_uint_eq(out.n, 133);
    for (unsigned i = 0; i < out.n; i++)
        ck_assert(addr_eq(&out.v[i].to, &to[2]) && out.v[i].data == data[3 * i + 2]);
    ck_assert_uint_eq(streams_stats(s)->calls_out, 2);
    for (unsigned i = 0; i < 400; i++) {
        uint8_t f[128], want[128];
        if (i % 3 == 2)
            continue;
        read_exactly(fd[i % 3], f, FRAME_HEAD + 10 + i % 90);
        put_frame(-1, want, 10 + i % 90, (uint8_t)i);
        ck_assert_mem_eq(f, want, FRAME_HEAD + 10 + i % 90);
    }
    close(fd[0]);
    close(fd[1]);
}
END_TEST

START_TEST(trains_are_taken_apart)
{
    static uint8_t data[64000];
    int fd = dial();
    struct addr to = address_of(fd);
    uint8_t f[1002];
    TURN_UNTIL(streams_stats(s)->accepted == 1);
    for (unsigned i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i / 1000);
    outbox_clear(&out);
    for (unsigned i = 0; i < 20; i++) /* more frames than an outbox has places */
        ck_assert(outbox_push_train(&out, &to, data, 63500, 1000, 0));
    streams_send(s, now, &out);
    ck_assert_uint_eq(out.n, 0);
    for (unsigned i = 0; i < 20 * 64; i++) {
        size_t len = i % 64 == 63 ? 500 : 1000;
        read_exactly(fd, f, FRAME_HEAD + len);
        ck_assert(f[0] == len >> 8 && f[1] == (uint8_t)len && f[2] == i % 64 && f[len + 1] == i % 64);
    }
    close(fd);
}
END_TEST

START_TEST(who_does_not_read_loses_whole_frames_and_holds_up_nobody)
{
    static uint8_t data[10000];
    int slow = dial(), quick = dial();
    struct addr to[2] = {address_of(slow), address_of(quick)};
    uint8_t f[10002];
    unsigned sent = 0, read_frames = 0;
    TURN_UNTIL(streams_stats(s)->accepted == 2);
    while (!streams_stats(s)->lost) {
        outbox_clear(&out);
        for (unsigned i = 0; i < 100; i++, sent++)
            outbox_push(&out, &to[0], data, sizeof(data));
        streams_send(s, now, &out);
        ck_assert_uint_lt(sent, 10000);
    }
    now = mono_add(now, STREAM_STALE_US + 1); /* what waits is old: no more of it */
    uint64_t lost = streams_stats(s)->lost;
    outbox_clear(&out);
    for (unsigned i = 0; i < 100; i++, sent++)
        outbox_push(&out, &to[0], data, sizeof(data));
    streams_send(s, now, &out);
    ck_assert_uint_eq(streams_stats(s)->lost, lost + 100);
    outbox_clear(&out);
    outbox_push(&out, &to[1], data, 10);
    streams_send(s, now, &out);
    read_exactly(quick, f, 12);
    /* what was not lost arrives whole */
    lost = streams_stats(s)->lost;
    for (; read_frames < sent - lost; read_frames++) {
        read_exactly(slow, f, 10002);
        ck_assert(f[0] == 10000 >> 8 && f[1] == (uint8_t)10000);
    }
    close(slow);
    close(quick);
}
END_TEST

START_TEST(what_goes_to_nobody_is_lost)
{
    struct addr a = addr_v4(INADDR_LOOPBACK, 1);
    a.via = ADDR_TCP;
    uint8_t data[10] = {0};
    outbox_clear(&out);
    outbox_push(&out, &a, data, 10);
    streams_send(s, now, &out);
    ck_assert_uint_eq(out.n, 0);
    ck_assert_uint_eq(streams_stats(s)->nobody, 1);
}
END_TEST

START_TEST(silent_connections_end)
{
    int mute = dial(), drip = dial(), talker = dial();
    uint8_t f[42];
    put_frame(-1, f, 40, 1);
    put_frame(talker, NULL, 1, 1);
    TURN_UNTIL(streams_stats(s)->accepted == 3 && n_got == 1);
    for (unsigned i = 0; i < 10; i++) { /* half a frame, byte by byte, is none */
        ck_assert_int_eq(write(drip, f + i, 1), 1);
        turn();
        now = mono_add(now, STREAM_FIRST_US / 10);
        streams_expire(s, now);
    }
    ck_assert_uint_eq(streams_stats(s)->open, 1);
    ck_assert(is_closed(mute) && is_closed(drip));
    put_frame(talker, NULL, 1, 2);
    TURN_UNTIL(n_got == 2);
    ck_assert_uint_eq(streams_deadline(s).us, now.us + STREAM_IDLE_US);
    now = mono_add(now, STREAM_IDLE_US - 1);
    streams_expire(s, now);
    ck_assert_uint_eq(streams_stats(s)->open, 1);
    now = mono_add(now, 1);
    streams_expire(s, now);
    ck_assert_uint_eq(streams_stats(s)->open, 0);
    close(mute);
    close(drip);
    close(talker);
}
END_TEST

START_TEST(places_are_shared_out)
{
    int fd[8];
    teardown();
    open_with(&(struct streams_config){.max = 4, .per_source = 6, .queue_max = 1 << 20, .memory_max = 1 << 22});
    for (unsigned i = 0; i < 4; i++) {
        fd[i] = dial();
        if (i < 2)
            put_frame(fd[i], NULL, 1, 1);
    }
    TURN_UNTIL(streams_stats(s)->accepted == 4 && n_got == 2);
    fd[4] = dial(); /* all are new: they are given a moment */
    TURN_UNTIL(streams_stats(s)->refused == 1);
    ck_assert(is_closed(fd[4]));
    now = mono_add(now, STREAM_FIRST_US / 2);
    fd[5] = dial(); /* one that has said nothing makes room */
    TURN_UNTIL(streams_stats(s)->accepted == 5);
    ck_assert(is_closed(fd[2]));
    put_frame(fd[3], NULL, 1, 1);
    put_frame(fd[5], NULL, 1, 1);
    TURN_UNTIL(n_got == 4);
    now = mono_add(now, STREAM_SPARE_US);
    put_frame(fd[0], NULL, 1, 1);
    TURN_UNTIL(n_got == 5);
    fd[6] = dial(); /* the longest silent one does */
    TURN_UNTIL(streams_stats(s)->accepted == 6);
    ck_assert(is_closed(fd[1]));
    ck_assert_uint_eq(streams_stats(s)->open, 4);
    for (unsigned i = 0; i < 7; i++)
        close(fd[i]);
}
END_TEST

START_TEST(one_source_has_its_share)
{
    int fd[6];
    teardown();
    open_with(&(struct streams_config){.max = 100, .per_source = 4, .queue_max = 1 << 20, .memory_max = 1 << 22});
    for (unsigned i = 0; i < 6; i++)
        fd[i] = dial();
    TURN_UNTIL(streams_stats(s)->accepted == 4 && streams_stats(s)->refused == 2);
    for (unsigned i = 0; i < 6; i++)
        close(fd[i]);
}
END_TEST

START_TEST(without_file_descriptors_it_goes_on_later)
{
    struct rlimit limit, none;
    int fd[2] = {dial(), dial()}, before;
    TURN_UNTIL(streams_stats(s)->accepted == 2);
    int late = dial();
    before = dup(late); /* the next number that is free */
    close(before);
    getrlimit(RLIMIT_NOFILE, &limit);
    none = limit;
    none.rlim_cur = (rlim_t)before;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    turn();
    setrlimit(RLIMIT_NOFILE, &limit);
    ck_assert_uint_eq(streams_stats(s)->accepted, 2);
    put_frame(fd[0], NULL, 1, 1); /* those who are in are served */
    TURN_UNTIL(n_got == 1);
    ck_assert_uint_le(streams_deadline(s).us, now.us + USEC_PER_SEC);
    now = mono_add(now, USEC_PER_SEC);
    streams_expire(s, now);
    TURN_UNTIL(streams_stats(s)->accepted == 3);
    close(fd[0]);
    close(fd[1]);
    close(late);
}
END_TEST

static bool next_event(struct streams *c, struct stream_event *e)
{
    struct pollfd p = {streams_fd(c), POLLIN, 0};
    for (unsigned i = 0; i < 1000; i++) {
        if (streams_event(c, e))
            return true;
        poll(&p, 1, 10);
        streams_recv(c, now, on_packet, NULL);
    }
    return false;
}

START_TEST(a_packet_makes_its_connection_and_waits_for_it)
{
    struct streams *c;
    struct streams_config conf = {.max = 4, .queue_max = 1 << 20, .memory_max = 1 << 22};
    struct stream_event e;
    uint8_t data[3] = {1, 2, 3};
    struct addr to = addr_by(&at, ADDR_TCP);
    ck_assert_int_eq(streams_new(&c, &conf), 0);
    streams_dial(c, 1); /* nobody is there: then the address's own port */
    for (unsigned i = 0; i < 2; i++) {
        outbox_clear(&out);
        outbox_push(&out, &to, data, 3);
        streams_send(c, now, &out);
    }
    ck_assert(next_event(c, &e) && e.up && addr_eq(&e.at, &to));
    TURN_UNTIL(n_got == 2);
    outbox_clear(&out);
    outbox_push(&out, &got[0].from, data, 3);
    streams_send(s, now, &out);
    while (n_got < 3)
        streams_recv(c, now, on_packet, NULL);
    ck_assert(addr_eq(&got[2].from, &to));
    streams_hang_up(s);
    ck_assert(next_event(c, &e) && !e.up && addr_eq(&e.at, &to));
    outbox_clear(&out);
    outbox_push(&out, &to, data, 3); /* it was a good one: again at once */
    streams_send(c, now, &out);
    ck_assert(next_event(c, &e) && e.up);
    streams_free(c);
}
END_TEST

START_TEST(who_refuses_is_dialled_ever_more_slowly)
{
    struct streams *c;
    struct streams_config conf = {.max = 4, .queue_max = 1 << 20, .memory_max = 1 << 22};
    struct stream_event e;
    uint8_t data[3] = {1, 2, 3};
    struct addr to = addr_v4(INADDR_LOOPBACK, 1);
    unsigned dialled = 0;
    to.via = ADDR_TCP;
    ck_assert_int_eq(streams_new(&c, &conf), 0);
    streams_dial(c, 0);
    for (unsigned i = 0; i < 1000; i++) { /* ten seconds */
        uint64_t nobody = streams_stats(c)->nobody;
        outbox_clear(&out);
        outbox_push(&out, &to, data, 3);
        streams_send(c, now, &out);
        if (streams_stats(c)->nobody == nobody) {
            ck_assert(next_event(c, &e) && !e.up && e.err == ECONNREFUSED);
            dialled++;
        }
        now = mono_add(now, 10000);
    }
    ck_assert_msg(dialled >= 4 && dialled <= 7, "%u times", dialled);
    streams_free(c);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("io/stream");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, frames_arrive_whole_wherever_the_stream_is_cut);
    tcase_add_test(t, one_byte_at_a_time_will_do);
    tcase_add_test(t, the_largest_frame_passes_and_others_end_the_connection);
    tcase_add_test(t, an_outbox_is_parted_and_each_gets_its_own_in_order);
    tcase_add_test(t, trains_are_taken_apart);
    tcase_add_test(t, who_does_not_read_loses_whole_frames_and_holds_up_nobody);
    tcase_add_test(t, what_goes_to_nobody_is_lost);
    tcase_add_test(t, silent_connections_end);
    tcase_add_test(t, places_are_shared_out);
    tcase_add_test(t, one_source_has_its_share);
    tcase_add_test(t, without_file_descriptors_it_goes_on_later);
    tcase_add_test(t, a_packet_makes_its_connection_and_waits_for_it);
    tcase_add_test(t, who_refuses_is_dialled_ever_more_slowly);
    suite_add_tcase(suite, t);
    return suite_run(suite);
}

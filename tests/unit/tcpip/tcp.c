/* The state machine, in scripts: see script.h. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "include/bytes.h"
#include "tests/lib/suite.h"
#include "tests/unit/tcpip/script.h"

/* A test whose whole content is a script. */
#define SCRIPT(name, text)                                                                                             \
    START_TEST(name)                                                                                                   \
    {                                                                                                                  \
        script_play(text);                                                                                             \
    }                                                                                                                  \
    END_TEST

/* ---- explicit congestion notification ---- */

#define ECN_OPEN "ecn\nconnect\n> SEW 0\n+20ms\n< SAE 0 ack 1\n> A 1 ack 1\nevent CONNECTED\n"

SCRIPT(offers_ecn_and_marks_new_data_only,
    ECN_OPEN
    "write 2000 push\n"
    "> A 1:1000 ect\n> PA 1001:1000 ect\n"
    "+20ms\n< A 1 ack 1001\n"
    "+200ms\n> PA 1001:1000\n")

SCRIPT(takes_ecn_and_tells_of_a_mark_until_it_is_heard,
    "ecn\n"
    "< SEW 0\nevent INCOMING\naccept\n"
    "> SAE 0 ack 1\n"
    "< A 1 ack 1\nevent CONNECTED\n"
    "< A 1:1000 ack 1 ect\n> A 1 ack 1001\n"
    "< A 1001:1000 ack 1 ce\n> AE 1 ack 2001\n"
    "< A 2001:1000 ack 1 ect\n> AE 1 ack 3001\n"
    "write 10 push\n> AEP 1:10 ect\n"
    "< A 4001:1000 ack 11 ect\n> AE 11 ack 3001 sack 4001-5001\n"
    "< AW 3001:1000 ack 11 ect\n> A 11 ack 5001\n"
    "readall\nnone\n")

SCRIPT(slows_down_once_in_a_round_trip_when_told,
    ECN_OPEN
    "write 20000 push\n"
    "> A 1:1000 ect\n> A 1001:1000 ect\n> A 2001:1000 ect\n> A 3001:1000 ect\n> A 4001:1000 ect\n"
    "> A 5001:1000 ect\n> A 6001:1000 ect\n> A 7001:1000 ect\n> A 8001:1000 ect\n> A 9001:1000 ect\n"
    "none\n+20ms\n"
    "< AE 1 ack 2001\n> AW 10001:1000 ect\n> A 11001:1000 ect\nnone\n" /* 12 segments become 10 */
    "< AE 1 ack 4001\n> A 12001:1000 ect\n> A 13001:1000 ect\nnone\n"
    "< AE 1 ack 5001\n> A 14001:1000 ect\nnone\n")

SCRIPT(answers_no_ecn_to_one_who_throws_all_flags_back,
    "ecn\nconnect\n> SEW 0\n+20ms\n< SAEW 0 ack 1\n> A 1 ack 1\nevent CONNECTED\n"
    "write 1000 push\n> PA 1:1000\n")

SCRIPT(asks_without_ecn_when_nobody_answers,
    "ecn\nconnect\n> SEW 0\n+1s\n> SEW 0\n+1s\n> S 0\n"
    "< SA 0 ack 1\n> A 1 ack 1\nevent CONNECTED\n"
    "write 1000 push\n> PA 1:1000\n")

SCRIPT(ignores_marks_that_were_not_agreed_on,
    "ecn\n< S 0\nevent INCOMING\naccept\n> SA 0 ack 1\n< A 1 ack 1\nevent CONNECTED\n"
    "< A 1:1000 ack 1 ce\n> A 1 ack 1001\n"
    "write 20 push\n> PA 1:20\n")

SCRIPT(goes_on_without_where_ect_does_not_get_through,
    ECN_OPEN
    "write 1000 push\n> PA 1:1000 ect\n"
    "+150ms\n> PA 1:1000\n"
    "+20ms\n< A 1 ack 1001\n"
    "write 1000 push\n> PA 1001:1000\n")

/* ---- opening ---- */

SCRIPT(opens_actively,
    "connect\n"
    "> S 0 mss 1360 win 65535\n"
    "state SYN-SENT\n"
    "< SA 0 ack 1\n"
    "> A 1 ack 1\n"
    "event CONNECTED\n"
    "state ESTABLISHED\n"
    "none\n")

SCRIPT(opens_passively_only_after_accept,
    "incoming\n"
    "none\n"
    "state LISTEN\n"
    "accept\n"
    "> SA 0 ack 1 mss 1360\n"
    "< A 1 ack 1\n"
    "event CONNECTED\n"
    "state ESTABLISHED\n"
    "none\n")

SCRIPT(answers_a_repeated_syn_again,
    "incoming\n"
    "< S 0\n"
    "none\n"
    "accept\n"
    "> SA 0 ack 1\n"
    "< S 0\n"
    "> SA 0 ack 1\n"
    "< A 1 ack 1\n"
    "event CONNECTED\n")

SCRIPT(refuses_with_rst,
    "incoming\n"
    "refuse\n"
    "> RA 4294966296 ack 1\n"
    "state gone\n"
    "noevent\n")

SCRIPT(is_refused,
    "connect\n"
    "> S 0\n"
    "< RA 0 ack 2\n"
    "none\n"
    "< R 0\n"
    "state SYN-SENT\n"
    "< RA 0 ack 1\n"
    "event FAILED ECONNREFUSED\n"
    "state gone\n")

SCRIPT(repeats_syn_and_gives_up,
    "connect\n"
    "> S 0\n"
    "+999ms\n"
    "none\n"
    "+1ms\n"
    "> S 0\n"
    "+1s\n"
    "> S 0\n"
    "+1s\n"
    "> S 0\n"
    "+1s\n"
    "> S 0\n"
    "+1s\n"
    "> S 0\n"
    "+2s\n"
    "> S 0\n"
    "+4s\n"
    "> S 0\n"
    "+8s\n"
    "> S 0\n"
    "+16s\n"
    "> S 0\n"
    "+32s\n"
    "> S 0\n"
    "+60s\n"
    "event FAILED ETIMEDOUT\n")

SCRIPT(opens_from_both_sides_at_once,
    "connect\n"
    "> S 0\n"
    "< S 0\n"
    "> SA 0 ack 1\n"
    "state SYN-RECEIVED\n"
    "< SA 0 ack 1\n"
    "event CONNECTED\n"
    "> A 1 ack 1\n"
    "state ESTABLISHED\n")

SCRIPT(answers_a_stray_segment_with_rst,
    "< A 100 ack 500\n"
    "> R 500\n"
    "< FP 100:10\n"
    "> RA 4294966296 ack 111\n"
    "< R 100\n"
    "none\n")

SCRIPT(refuses_a_half_open_peers_ack,
    "connect\n"
    "> S 0\n"
    "< A 300 ack 100\n"
    "> R 100\n"
    "+1s\n"
    "> S 0\n"
    "< SA 0 ack 1\n"
    "> A 1 ack 1\n")

SCRIPT(takes_536_when_no_mss_was_named,
    "peer mss=0 nots\n"
    "open\n"
    "write 1000 push\n"
    "> A 1:536\n"
    "> PA 537:464\n")

SCRIPT(does_without_any_option,
    "peer nots nosack nows\n"
    "open\n"
    "write 3000 push\n"
    "> A 1:1012 nots\n"
    "> A 1013:1012\n"
    "> PA 2025:976\n"
    "< A 1:10 ack 3001\n"
    "+25ms\n> A 3001 ack 11 win 65535\n")

/* ---- data ---- */

SCRIPT(carries_data_both_ways,
    "open\n"
    "write 2500 push\n"
    "> A 1:1000 ack 1\n"
    "> A 1001:1000 ack 1\n"
    "> PA 2001:500 ack 1\n"
    "< A 1:100 ack 2501\n"
    "+25ms\n> A 2501 ack 101\n"
    "event READABLE\n"
    "read 100\n"
    "none\n")

SCRIPT(acknowledges_a_lone_segment_late_and_two_at_once,
    "open\n"
    "patient\n"
    "< A 1:1000 ack 1\n"
    "none\n"
    "+25ms\n"
    "> A 1 ack 1001\n"
    "< A 1001:1000 ack 1\n"
    "none\n"
    "< A 2001:1000 ack 1\n"
    "> A 1 ack 3001\n")

SCRIPT(acknowledges_a_batch_once,
    "open\n"
    "< A 1:1000 ack 1\n"
    "& A 1001:1000 ack 1\n"
    "& A 2001:1000 ack 1\n"
    "> A 1 ack 3001\n"
    "none\n")

SCRIPT(lets_an_ack_ride_on_data,
    "open\n"
    "patient\n"
    "< A 1:10 ack 1\n"
    "none\n"
    "write 5 push\n"
    "> PA 1:5 ack 11\n"
    "+40ms\n"
    "none\n")

SCRIPT(holds_small_segments_back_until_pushed,
    "open\n"
    "write 10\n"
    "> PA 1:10\n"
    "write 20\n"
    "none\n"
    "write 20 push\n"
    "> PA 11:40\n"
    "write 30\n"
    "none\n"
    "< A 1 ack 51\n"
    "> PA 51:30\n")

SCRIPT(reassembles_and_reports_holes,
    "open\n"
    "< A 1001:1000 ack 1\n"
    "> A 1 ack 1 sack 1001-2001\n"
    "< A 3001:1000 ack 1\n"
    "> A 1 ack 1 sack 3001-4001,1001-2001\n"
    "< A 5001:1000 ack 1\n"
    "> A 1 ack 1 sack 5001-6001,3001-4001,1001-2001\n"
    "noevent\n"
    "< A 1:1000 ack 1\n"
    "> A 1 ack 2001 sack 5001-6001,3001-4001\n"
    "event READABLE\n"
    "read 2000\n"
    "< A 2001:3000 ack 1\n"
    "> A 1 ack 6001\n"
    "read 4000\n")

SCRIPT(reports_duplicates,
    "open\n"
    "< A 1:1000 ack 1\n"
    "> A 1 ack 1001\n"
    "< A 1:1000 ack 1\n"
    "> A 1 ack 1001 sack 1-1001\n"
    "< A 2001:1000 ack 1\n"
    "> A 1 ack 1001 sack 2001-3001\n"
    "< A 2001:1000 ack 1\n"
    "> A 1 ack 1001 sack 2001-3001,2001-3001\n"
    "< A 501:1000 ack 1\n"
    "> A 1 ack 1501\n"
    "read 1500\n")

SCRIPT(cuts_what_overlaps,
    "open\n"
    "< A 1001:1000 ack 1\n"
    "> A 1 ack 1\n"
    "< A 501:2000 ack 1\n"
    "> A 1 ack 1 sack 501-2501\n"
    "< A 1:3000 ack 1\n"
    "> A 1 ack 3001\n"
    "read 3000\n")

START_TEST(takes_more_pieces_than_there_are_spans)
{
    struct script s;
    script_begin(&s, NULL);
    script_run(&s, "open\n< A 1:1 ack 1\n");
    for (int i = 0; i < 80; i += 20) {
        for (int k = 0; k < 20; k++) {
            char line[40];
            snprintf(line, sizeof(line), "& A %d:3 ack 1", 2 + 3 * (i + k));
            script_run(&s, line);
        }
    }
    script_run(&s, "read 200\n+25ms\n> A 1 ack 242\nread 41\n");
    script_end(&s);
}
END_TEST

SCRIPT(keeps_what_is_not_read_beyond_the_batch,
    "open\n"
    "< A 1:1000 ack 1\n"
    "read 10\n"
    "> A 1 ack 1001\n"
    "< A 1001:1000 ack 1\n"
    "> A 1 ack 2001\n"
    "read 990\n"
    "read 1000\n")

SCRIPT(goes_on_through_the_wrap,
    "isn 4294967000\n"
    "peerisn 4294966796\n"
    "open\n"
    "write 3000 push\n"
    "> A 1:1000\n"
    "> A 1001:1000\n"
    "> PA 2001:1000\n"
    "< A 1 ack 1001 sack 2001-3001\n"
    "& A 1 ack 2001\n"
    "< A 1 ack 3001\n"
    "< A 1001:1000 ack 3001\n"
    "> A 3001 ack 1 sack 1001-2001\n"
    "< A 1:1000 ack 3001\n"
    "> A 3001 ack 2001\n"
    "read 2000\n")

/* ---- loss ---- */

SCRIPT(repairs_a_hole_at_three_sacked_segments,
    "open\n"
    "write 6000 push\n"
    "> A 1:1000\n> A 1001:1000\n> A 2001:1000\n> A 3001:1000\n> A 4001:1000\n> PA 5001:1000\n"
    "+20ms\n"
    "< A 1 ack 1 sack 1001-2001\n"
    "none\n"
    "< A 1 ack 1 sack 1001-3001\n"
    "none\n"
    "< A 1 ack 1 sack 1001-4001\n"
    "> A 1:1000\n"
    "< A 1 ack 6001\n"
    "none\n")

SCRIPT(repairs_many_holes_in_one_round,
    "open\n"
    "write 10000 push\n"
    "> A 1:1000\n> A 1001:1000\n> A 2001:1000\n> A 3001:1000\n> A 4001:1000\n> A 5001:1000\n> A 6001:1000\n> A 7001:1000\n"
    "> A 8001:1000\n> PA 9001:1000\n"
    "+20ms\n"
    "< A 1 ack 1 sack 1001-2001\n"
    "& A 1 ack 1 sack 3001-4001,1001-2001\n"
    "& A 1 ack 1 sack 5001-6001,3001-4001,1001-2001\n"
    "& A 1 ack 1 sack 7001-8001,5001-6001,3001-4001\n"
    "& A 1 ack 1 sack 9001-10001,7001-8001,5001-6001\n"
    "# PRR: what the last three of these ACKs delivered, and one more\n"
    "> A 1:1000\n> A 2001:1000\n> A 4001:1000\n> A 6001:1000\n"
    "+20ms\n"
    "< A 1 ack 2001 sack 9001-10001,7001-8001,5001-6001\n"
    "> A 8001:1000\n"
    "< A 1 ack 10001\n"
    "none\n")

SCRIPT(repairs_a_lost_repair_without_a_time_out,
    "open\n"
    "write 8000 push\n"
    "> A 1:1000\n> A 1001:1000\n> A 2001:1000\n> A 3001:1000\n> A 4001:1000\n> A 5001:1000\n> A 6001:1000\n> PA 7001:1000\n"
    "+20ms\n"
    "< A 1 ack 1 sack 1001-4001\n"
    "> A 1:1000\n"
    "+1ms\n"
    "write 2000 push\n"
    "< A 1 ack 1 sack 1001-7001\n"
    "> A 8001:1000\n"
    "> PA 9001:1000\n"
    "+20ms\n"
    "< A 1 ack 1 sack 8001-9001,1001-8001\n"
    "> A 1:1000\n")

SCRIPT(sends_new_data_while_it_waits_for_proof,
    "open\n"
    "write 12000 push\n"
    "> A 1:1000\n> A 1001:1000\n> A 2001:1000\n> A 3001:1000\n> A 4001:1000\n> A 5001:1000\n> A 6001:1000\n> A 7001:1000\n"
    "> A 8001:1000\n> A 9001:1000\n"
    "none\n"
    "+20ms\n"
    "< A 1 ack 1 sack 1001-2001\n"
    "> A 10001:1000\n"
    "> PA 11001:1000\n")

SCRIPT(counts_duplicates_of_a_peer_without_sack,
    "peer nosack\n"
    "open\n"
    "write 5000 push\n"
    "> A 1:1000\n> A 1001:1000\n> A 2001:1000\n> A 3001:1000\n> PA 4001:1000\n"
    "+20ms\n"
    "< A 1 ack 1\n"
    "none\n"
    "< A 1 ack 1\n"
    "none\n"
    "< A 1 ack 1\n"
    "> A 1:1000\n"
    "+20ms\n"
    "< A 1 ack 2001\n"
    "> A 2001:1000\n"
    "< A 1 ack 5001\n"
    "none\n")

SCRIPT(gives_a_peer_without_sack_every_duplicate,
    "peer nosack\n"
    "open\n"
    "< A 1001:1000 ack 1\n"
    "& A 2001:1000 ack 1\n"
    "& A 3001:1000 ack 1\n"
    "> A 1 ack 1\n> A 1 ack 1\n> A 1 ack 1\n"
    "none\n")

SCRIPT(probes_the_tail_before_it_times_out,
    "open\n"
    "write 1000 push\n"
    "> PA 1:1000\n"
    "+20ms\n"
    "< A 1 ack 1001\n"
    "write 3000 push\n"
    "> A 1001:1000\n> A 2001:1000\n> PA 3001:1000\n"
    "+200ms\n"
    "> PA 3001:1000\n"
    "none\n"
    "< A 1 ack 1001 sack 3001-4001\n"
    "+10ms\n"
    "> A 1001:1000\n> A 2001:1000\n"
    "< A 1 ack 4001\n")

SCRIPT(times_out_and_backs_off,
    "peer nosack\n"
    "open\n"
    "write 6000 push\n"
    "> A 1:1000\n> A 1001:1000\n> A 2001:1000\n> A 3001:1000\n> A 4001:1000\n> PA 5001:1000\n"
    "+199ms\n"
    "none\n"
    "+1ms\n"
    "> A 1:1000\n"
    "+399ms\n"
    "none\n"
    "+1ms\n"
    "> A 1:1000\n"
    "+800ms\n"
    "> A 1:1000\n"
    "+20ms\n"
    "< A 1 ack 1001\n"
    "> A 1001:1000\n> A 2001:1000\n"
    "< A 1 ack 6001\n")

/* So few segments that their loss tells little of congestion: six time-outs before the first doubling. */
SCRIPT(does_not_back_off_at_once_when_thin,
    "peer nosack\n"
    "open\n"
    "write 2000 push\n"
    "> A 1:1000\n> PA 1001:1000\n"
    "+200ms\n> A 1:1000\n"
    "+200ms\n> A 1:1000\n"
    "+200ms\n> A 1:1000\n"
    "+200ms\n> A 1:1000\n"
    "+200ms\n> A 1:1000\n"
    "+200ms\n> A 1:1000\n"
    "+200ms\n> A 1:1000\n"
    "+399ms\n"
    "none\n"
    "+1ms\n"
    "> A 1:1000\n"
    "< A 1 ack 2001\n")

SCRIPT(ends_the_back_off_when_a_copy_gets_through,
    "open\n"
    "write 6000 push\n"
    "> A 1:1000\n> A 1001:1000\n> A 2001:1000\n> A 3001:1000\n> A 4001:1000\n> PA 5001:1000\n"
    "+42ms\n> PA 5001:1000\n"
    "+200ms\n> A 1:1000\n"
    "+400ms\n> A 1:1000\n"
    "+800ms\n> A 1:1000\n"
    "+20ms\n"
    "< A 1 ack 1001\n"
    "> A 1001:1000\n> A 2001:1000\n"
    "+199ms\n"
    "none\n"
    "+1ms\n"
    "> A 1001:1000\n"
    "< A 1 ack 6001\n")

SCRIPT(follows_a_peer_that_begins_anew,
    "incoming\n"
    "peerisn 90000\n"
    "< S 0\n"
    "accept\n"
    "> SA 0 ack 1\n"
    "< A 1 ack 1\n"
    "event CONNECTED\n")

SCRIPT(takes_back_a_time_out_that_was_none,
    "open\n"
    "write 4000 push\n"
    "> A 1:1000\n> A 1001:1000\n> A 2001:1000\n> PA 3001:1000\n"
    "+42ms\n> PA 3001:1000\n"
    "+200ms\n"
    "> A 1:1000\n"
    "+1ms\n"
    "# the ACK echoes what was sent before the time-out\n"
    "< A 1 ack 1001 ecr 250\n"
    "none\n"
    "< A 1 ack 4001 ecr 250\n"
    "none\n")

SCRIPT(gives_up_after_many_time_outs,
    "open\n"
    "write 10 push\n"
    "> PA 1:10\n"
    "+100ms\n> PA 1:10\n"
    "+200ms\n> PA 1:10\n+400ms\n> PA 1:10\n+800ms\n> PA 1:10\n+1600ms\n> PA 1:10\n+3200ms\n> PA 1:10\n"
    "+6400ms\n> PA 1:10\n+12800ms\n> PA 1:10\n+25600ms\n> PA 1:10\n+51200ms\n> PA 1:10\n"
    "+60s\n> PA 1:10\n+60s\n> PA 1:10\n+60s\n> PA 1:10\n+60s\n> PA 1:10\n+60s\n> PA 1:10\n+60s\n> PA 1:10\n+60s\n"
    "> RA 11\n"
    "event FAILED ETIMEDOUT\n")

/* The peer sleeps for an hour with something of ours on its way. */
START_TEST(is_patient_with_a_peer_that_sleeps_and_does_not_let_it_wait)
{
    struct tcpip_config c;
    struct script s;
    tcpip_config_default(&c);
    c.patience_us = 7200000000;
    script_begin(&s, &c);
    script_run(&s, "open\nwrite 10 push\n> PA 1:10\n+3630s\nstate ESTABLISHED\nnoevent");
    s.out_at = s.out_n;
    tcpip_revive(s.t, (mono_t){s.now}, 0x0a000003); /* somebody else */
    script_run(&s, "none");
    tcpip_revive(s.t, (mono_t){s.now}, 0x0a000002);
    script_run(&s, "> PA 1:10\n< A 1 ack 11\n+10s\nnone\nwrite 10 push\n> PA 11:10\n+7300s\nevent FAILED ETIMEDOUT");
    s.out_at = s.out_n;
    script_end(&s);
}
END_TEST

/* The peer's daemon was started anew: who only waits would never learn that nobody will answer. */
START_TEST(asks_a_peer_that_may_have_forgotten_it)
{
    struct tcpip_config c;
    struct script s;
    tcpip_config_default(&c);
    script_begin(&s, &c);
    script_run(&s, "open\n+1s\nnone");
    tcpip_ask_remote(s.t, (mono_t){s.now}, 0x0a000003); /* somebody else */
    script_run(&s, "none");
    tcpip_ask_remote(s.t, (mono_t){s.now}, 0x0a000002);
    script_run(&s, "> A 0\n< A 1 ack 1\nnone\nnoevent\nstate ESTABLISHED"); /* it has not */
    tcpip_ask_remote(s.t, (mono_t){s.now}, 0x0a000002);
    script_run(&s, "> A 0\n< R 1\nevent FAILED ECONNRESET");
    s.out_at = s.out_n;
    script_end(&s);
}
END_TEST

START_TEST(a_connection_in_the_making_asks_such_a_peer_at_once)
{
    struct tcpip_config c;
    struct script s;
    tcpip_config_default(&c);
    script_begin(&s, &c);
    script_run(&s, "connect\n> S 0\n+50ms\nnone");
    tcpip_ask_remote(s.t, (mono_t){s.now}, 0x0a000002);
    script_run(&s, "+1ms\n> S 0");
    s.out_at = s.out_n;
    script_end(&s);
}
END_TEST

/* ---- windows ---- */

SCRIPT(probes_a_shut_window,
    "open\n"
    "write 3000 push\n"
    "> A 1:1000\n> A 1001:1000\n> PA 2001:1000\n"
    "< A 1 ack 3001 win 0\n"
    "write 500 push\n"
    "none\n"
    "+200ms\n"
    "> A 3000\n"
    "< A 1 ack 3001 win 0\n"
    "+400ms\n"
    "> A 3000\n"
    "< A 1 ack 3001 win 0\n"
    "+800ms\n"
    "> A 3000\n"
    "< A 1 ack 3001 win 1000\n"
    "> PA 3001:500\n")

SCRIPT(sends_no_silly_segments,
    "open\n"
    "write 3000 push\n"
    "> A 1:1000\n> A 1001:1000\n> PA 2001:1000\n"
    "< A 1 ack 3001 win 100\n"
    "write 5000 push\n"
    "none\n"
    "+200ms\n"
    "> A 3001:100\n"
    "< A 1 ack 3101 win 3000\n"
    "> A 3101:1000\n> A 4101:1000\n> A 5101:1000\n"
    "none\n")

SCRIPT(keeps_to_the_peers_window,
    "open\n"
    "write 2000 push\n"
    "> A 1:1000\n> PA 1001:1000\n"
    "< A 1 ack 2001 win 2500\n"
    "write 5000 push\n"
    "> A 2001:1000\n> A 3001:1000\n"
    "none\n"
    "< A 1 ack 3001 win 2500\n"
    "> A 4001:1000\n")

/* Its window is shut on what is in flight, and it says so for hours; then it opens. Silence, though, is the end. */
START_TEST(bears_with_a_peer_that_shuts_its_window_on_data_in_flight)
{
    struct script s;
    script_begin(&s, NULL);
    script_run(&s, "open\nwrite 2000 push\n> A 1:1000\n> PA 1001:1000\n< A 1 ack 1 win 0\n");
    for (int i = 0; i < 120; i++) {
        script_run(&s, "+60s");
        ck_assert_uint_gt(s.out_n, s.out_at); /* it goes on asking */
        s.out_at = s.out_n;
        script_run(&s, "< A 1 ack 1 win 0\nstate ESTABLISHED");
        s.out_at = s.out_n;
    }
    script_run(&s, "< A 1 ack 2001 win 5000\nnoevent\nwrite 100 push\n> PA 2001:100\n< A 1 ack 2001 win 0");
    script_run(&s, "+2000s\nevent FAILED ETIMEDOUT");
    s.out_at = s.out_n;
    script_end(&s);
}
END_TEST

START_TEST(shuts_its_window_and_opens_it_again)
{
    struct tcpip_config c;
    struct script s;
    tcpip_config_default(&c);
    c.recv_max = 4096;
    script_begin(&s, &c);
    s.ws = false;
    script_run(&s,
        "open\n"
        "< A 1:1000 ack 1\n"
        "& A 1001:1000 ack 1\n"
        "& A 2001:1000 ack 1\n"
        "> A 1 ack 3001 win 1096\n"
        "< A 3001:2000 ack 1\n"
        "> A 1 ack 4097 win 0\n"
        "< A 4097:1000 ack 1\n"
        "> A 1 ack 4097 win 0\n"
        "read 500\n"
        "none\n"
        "# the peer probes: still too little to offer\n"
        "< A 4096 ack 1\n"
        "> A 1 ack 4097 win 0\n"
        "read 1596\n"
        "> A 1 ack 4097 win 2096\n"
        "< A 4097:1000 ack 1\n"
        "> A 1 ack 5097\n"
        "read 3000\n"
        "> A 1 ack 5097 win 4096\n");
    script_end(&s);
}
END_TEST

SCRIPT(speaks_inside_a_window_that_was_shrunk,
    "open\n"
    "write 3000 push\n"
    "> A 1:1000\n> A 1001:1000\n> PA 2001:1000\n"
    "< A 1:1000 ack 1 win 0\n"
    "> A 1 ack 1001\n"
    "< A 1001:1000 ack 1 win 1500\n"
    "> A 1501 ack 2001\n"
    "< A 3001:100 ack 1 win 1500\n"
    "> A 1501 ack 2001 sack 3001-3101\n"
    "abort\n"
    "> RA 1501\n")

SCRIPT(sends_no_fin_into_a_shut_window,
    "open\n"
    "write 1000 push\n"
    "> PA 1:1000\n"
    "< A 1 ack 1001 win 0\n"
    "eof\n"
    "none\n"
    "+200ms\n"
    "> A 1000\n"
    "< A 1 ack 1001 win 10\n"
    "> FA 1001\n"
    "< A 1 ack 1002\n")

SCRIPT(answers_a_window_probe,
    "open\n"
    "< A 0 ack 1\n"
    "> A 1 ack 1\n")

/* ---- closing ---- */

SCRIPT(lets_acks_of_syn_and_fin_ride,
    "ride 300\n"
    "connect\n> S 0\n< SA 0 ack 1\nevent CONNECTED\nnone\n"
    "write 100 push\n> AP 1:100 ack 1\n" /* the handshake's third packet */
    "< A 1:50 ack 101\nevent READABLE\nread 50\nnone\n" /* less than a segment: an answer may come */
    "< FA 51 ack 101\nevent READABLE\nreadall\nnone\n"
    "eof\n> FA 101 ack 52\n< A 52 ack 102\nevent CLOSED\n")

SCRIPT(acknowledges_syn_and_fin_soon_in_silence,
    "ride 300\n"
    "connect\n> S 0\n< SA 0 ack 1\nevent CONNECTED\n+299us\nnone\n+1us\n> A 1 ack 1\n"
    "< FA 1 ack 1\nevent READABLE\n+299us\nnone\n+1us\n> A 1 ack 2\n")

SCRIPT(closes_first,
    "open\n"
    "write 100 push\n"
    "eof\n"
    "> FPA 1:100\n"
    "state FIN-WAIT-1\n"
    "< A 1 ack 102\n"
    "state FIN-WAIT-2\n"
    "< A 1:50 ack 102\n"
    "+25ms\n> A 102 ack 51\n"
    "event READABLE\n"
    "read 50\n"
    "< FA 51 ack 102\n"
    "> A 102 ack 52\n"
    "event READABLE\n"
    "readall\n"
    "event CLOSED\n"
    "state gone\n"
    "# TIME-WAIT: a repeated FIN is acknowledged, a RST is not heeded\n"
    "< FA 51 ack 102\n"
    "> A 102 ack 52\n"
    "< R 52\n"
    "< FA 51 ack 102\n"
    "> A 102 ack 52\n"
    "+61s\n"
    "< FA 51 ack 102\n"
    "> R 102\n")

SCRIPT(closes_second,
    "open\n"
    "< FA 1:10 ack 1\n"
    "> A 1 ack 12\n"
    "state CLOSE-WAIT\n"
    "event READABLE\n"
    "readall\n"
    "noevent\n"
    "write 20 push\n"
    "> PA 1:20\n"
    "eof\n"
    "> FA 21 ack 12\n"
    "state LAST-ACK\n"
    "< A 12 ack 22\n"
    "event CLOSED\n"
    "state gone\n"
    "< A 12 ack 22\n"
    "> R 22\n")

SCRIPT(closes_from_both_sides_at_once,
    "open\n"
    "eof\n"
    "> FA 1\n"
    "< FA 1 ack 1\n"
    "> A 2 ack 2\n"
    "state CLOSING\n"
    "< A 2 ack 2\n"
    "state TIME-WAIT\n"
    "event READABLE\n"
    "readall\n"
    "event CLOSED\n")

SCRIPT(takes_a_fin_that_came_too_early,
    "open\n"
    "< FA 101:100 ack 1\n"
    "> A 1 ack 1 sack 101-201\n"
    "state ESTABLISHED\n"
    "< A 1:100 ack 1\n"
    "> A 1 ack 202\n"
    "state CLOSE-WAIT\n"
    "read 200\n")

SCRIPT(repeats_its_fin,
    "open\n"
    "eof\n"
    "> FA 1\n"
    "+100ms\n"
    "> FA 1\n"
    "+200ms\n"
    "> FA 1\n"
    "< A 1 ack 2\n"
    "state FIN-WAIT-2\n")

SCRIPT(delivers_what_was_written_before_close,
    "open\n"
    "write 100 push\n"
    "close\n"
    "> FPA 1:100\n"
    "< A 1 ack 102\n"
    "< FA 1 ack 102\n"
    "> A 102 ack 2\n"
    "state gone\n"
    "noevent\n")

SCRIPT(resets_when_data_comes_after_close,
    "open\n"
    "close\n"
    "> FA 1\n"
    "< A 1 ack 2\n"
    "< A 1:10 ack 2\n"
    "> RA 2\n"
    "state gone\n")

SCRIPT(resets_when_closed_with_unread_data,
    "open\n"
    "< A 1:10 ack 1\n"
    "+25ms\n> A 1 ack 11\n"
    "close\n"
    "> RA 1\n"
    "state gone\n")

SCRIPT(sends_what_is_buffered_before_that_reset,
    "open\n"
    "< A 1:10 ack 1\n"
    "+25ms\n> A 1 ack 11\n"
    "write 100 push\n"
    "close\n"
    "> PA 1:100\n"
    "< A 11 ack 101\n"
    "> RA 101\n"
    "state gone\n")

SCRIPT(forgets_an_orphan_whose_peer_never_closes,
    "open\n"
    "close\n"
    "> FA 1\n"
    "< A 1 ack 2\n"
    "+59s\n"
    "state FIN-WAIT-2\n"
    "+2s\n"
    "state gone\n")

SCRIPT(aborts,
    "open\n"
    "write 10 push\n"
    "> PA 1:10\n"
    "abort\n"
    "> RA 11\n"
    "state gone\n"
    "noevent\n")

SCRIPT(takes_a_new_connection_over_time_wait,
    "open\n"
    "eof\n"
    "> FA 1\n"
    "< FA 1 ack 2\n"
    "> A 2 ack 2\n"
    "readall\n"
    "event CLOSED\n"
    "state gone\n"
    "# an old SYN only repeats the ACK\n"
    "< S 1 old\n"
    "> A 2 ack 2\n"
    "< S 100\n"
    "event INCOMING\n"
    "state LISTEN\n")

SCRIPT(sees_a_rst_for_its_last_fin_as_the_end,
    "open\n"
    "< FA 1 ack 1\n"
    "> A 1 ack 2\n"
    "readall\n"
    "eof\n"
    "> FA 1\n"
    "< R 2\n"
    "event CLOSED\n")

/* ---- attacks and mishaps ---- */

SCRIPT(is_reset_only_by_the_exact_number,
    "open\n"
    "< R 100000000\n"
    "none\n"
    "< R 2\n"
    "> A 1 ack 1\n"
    "state ESTABLISHED\n"
    "< R 1\n"
    "event FAILED ECONNRESET\n")

SCRIPT(challenges_a_syn_in_the_window,
    "open\n"
    "< S 5\n"
    "> A 1 ack 1\n"
    "state ESTABLISHED\n"
    "# and not without bound\n"
    "< S 6\n"
    "none\n"
    "+20ms\n"
    "< S 7\n"
    "> A 1 ack 1\n")

SCRIPT(challenges_an_ack_of_what_was_not_sent,
    "open\n"
    "< A 1:10 ack 500\n"
    "> A 1 ack 1\n"
    "noevent\n")

SCRIPT(drops_what_paws_knows_to_be_old,
    "open\n"
    "< A 1:10 ack 1\n"
    "+25ms\n> A 1 ack 11\n"
    "< A 11:10 ack 1 old\n"
    "> A 1 ack 11\n"
    "< A 11:10 ack 1 nots\n"
    "none\n"
    "< A 11:10 ack 1\n"
    "+25ms\n> A 1 ack 21\n")

SCRIPT(delivers_what_came_before_a_reset,
    "open\n"
    "< A 1:10 ack 1\n"
    "& R 11\n"
    "event READABLE\n"
    "read 10\n"
    "event FAILED ECONNRESET\n")

SCRIPT(ignores_data_far_outside_the_window,
    "open\n"
    "< A 100000000:10 ack 1\n"
    "> A 1 ack 1\n"
    "noevent\n")

SCRIPT(cuts_data_at_the_window,
    "open\n"
    "< A 65530:100 ack 1\n"
    "> A 1 ack 1\n")

/* ---- keep-alive ---- */

SCRIPT(keeps_alive,
    "open\n"
    "+7199s\n"
    "none\n"
    "+1s\n"
    "> A 0 ack 1\n"
    "< A 1 ack 1\n"
    "+7200s\n"
    "> A 0 ack 1\n"
    "+75s\n> A 0 ack 1\n+75s\n> A 0 ack 1\n+75s\n> A 0 ack 1\n+75s\n> A 0 ack 1\n+75s\n> A 0 ack 1\n+75s\n> A 0 ack 1\n"
    "+75s\n> A 0 ack 1\n+75s\n> A 0 ack 1\n+75s\n"
    "> RA 1\n"
    "event FAILED ETIMEDOUT\n")

/* ---- the engine around it ---- */

START_TEST(forgets_unanswered_syns)
{
    struct script s;
    struct tcpip_stats st;
    script_begin(&s, NULL);
    script_run(&s, "incoming\n+29s\nstate LISTEN\n+2s\nevent FAILED ETIMEDOUT\nstate gone");
    tcpip_stats(s.t, &st);
    ck_assert_uint_eq(st.half_open, 0);
    script_end(&s);
}
END_TEST

static void flood_syn_of(struct tcpip *t, uint32_t host, uint16_t port, uint64_t now)
{
    uint8_t packet[80];
    struct segment g = {.src = host, .dst = 0x0a000001, .src_port = port, .dst_port = 80, .seq = port, .flags = TH_SYN};
    tcpip_input(t, (mono_t){now}, packet, segment_build(packet, &g, 1, 0));
    tcpip_settle(t, (mono_t){now});
}

static void flood_syn(struct tcpip *t, uint16_t port, uint64_t now)
{
    flood_syn_of(t, 0x0a000099, port, now);
}

START_TEST(bounds_a_flood_of_syns)
{
    struct tcpip_config c;
    struct tcpip_stats base, st;
    tcpip_config_default(&c);
    struct tcpip *t = tcpip_new(&c);
    tcpip_stats(t, &base);
    for (uint32_t i = 1; i < 20000; i++)
        flood_syn(t, (uint16_t)i, i);
    tcpip_stats(t, &st);
    ck_assert_uint_eq(st.half_open, HALF_OPEN_MAX / 2);
    ck_assert_uint_eq(st.conns, HALF_OPEN_MAX / 2);
    ck_assert_uint_eq(st.refused_peer, 19999 - HALF_OPEN_MAX / 2);
    struct tcpip_event e;
    int incoming = 0;
    tcpip_expire(t, (mono_t){31000000}); /* none was told of: none is told of its end */
    while (tcpip_event(t, &e))
        incoming++;
    ck_assert_int_eq(incoming, 0);
    tcpip_stats(t, &st);
    ck_assert_uint_eq(st.conns, 0);
    ck_assert_uint_eq(st.memory, base.memory);
    tcpip_free(t);
}
END_TEST

/* Whoever floods leaves room for the others, and they for the next. */
START_TEST(a_flood_of_syns_leaves_room_for_other_hosts)
{
    struct tcpip_config c;
    struct tcpip_stats st;
    tcpip_config_default(&c);
    struct tcpip *t = tcpip_new(&c);
    for (uint32_t host = 0; host < 20; host++) {
        tcpip_stats(t, &st);
        uint32_t before = st.half_open;
        for (uint16_t i = 1; i < 3000; i++)
            flood_syn_of(t, 0x0a000100 + host, i, i);
        tcpip_stats(t, &st);
        if (st.half_open < HALF_OPEN_MAX)
            ck_assert_uint_ge(st.half_open - before, HALF_OPEN_LEAST);
        ck_assert_uint_le(st.half_open, HALF_OPEN_MAX);
    }
    tcpip_expire(t, (mono_t){31000000});
    tcpip_stats(t, &st);
    ck_assert_uint_eq(st.half_open, 0);
    flood_syn_of(t, 0x0a000100, 1, 31000001); /* it is not remembered */
    tcpip_stats(t, &st);
    ck_assert_uint_eq(st.half_open, 1);
    tcpip_free(t);
}
END_TEST

/* Of the last ninth nobody has any who has most of the rest. */
START_TEST(one_host_does_not_get_all_connections)
{
    enum { MAX = 900 };
    struct tcpip_config c;
    struct tcpip_stats st;
    tcpip_config_default(&c);
    c.conns_max = MAX;
    struct tcpip *t = tcpip_new(&c);
    for (uint16_t i = 1; i < 3000; i++)
        flood_syn_of(t, 0x0a000100, i, i);
    tcpip_stats(t, &st);
    ck_assert_uint_eq(st.conns, MAX - MAX / 9);
    for (uint16_t i = 1; i <= 50; i++)
        flood_syn_of(t, 0x0a000200, i, 4000);
    tcpip_stats(t, &st);
    ck_assert_uint_eq(st.conns, MAX - MAX / 9 + 50);
    tcpip_free(t);
}
END_TEST

START_TEST(bounds_its_connections)
{
    struct tcpip_config c;
    struct tcp_ref ref;
    tcpip_config_default(&c);
    c.conns_max = 3;
    struct tcpip *t = tcpip_new(&c);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(tcp_connect(t, (mono_t){1}, 1, 0, 2, 80, &ref), 0);
    ck_assert_int_eq(tcp_connect(t, (mono_t){1}, 1, 0, 2, 80, &ref), -ENOBUFS);
    tcpip_free(t);
}
END_TEST

START_TEST(finds_free_ports)
{
    struct tcpip_config c;
    struct tcp_ref ref;
    tcpip_config_default(&c);
    c.port_lo = 100;
    c.port_hi = 109;
    struct tcpip *t = tcpip_new(&c);
    bool seen[10] = {false};
    for (int i = 0; i < 10; i++) {
        uint32_t a, b;
        uint16_t p, q;
        ck_assert_int_eq(tcp_connect(t, (mono_t){1}, 1, 0, 2, 80, &ref), 0);
        ck_assert(tcp_names(t, ref, &a, &p, &b, &q));
        ck_assert(p >= 100 && p <= 109 && !seen[p - 100]);
        seen[p - 100] = true;
    }
    ck_assert_int_eq(tcp_connect(t, (mono_t){1}, 1, 0, 2, 80, &ref), -EADDRNOTAVAIL);
    ck_assert_int_eq(tcp_connect(t, (mono_t){1}, 1, 105, 2, 80, &ref), -EADDRINUSE);
    ck_assert_int_eq(tcp_connect(t, (mono_t){1}, 1, 0, 2, 81, &ref), 0);
    tcpip_free(t);
}
END_TEST

static int connect_again(struct script *s)
{
    struct tcp_ref ref;
    mono_t now = {s->now};
    return s->v6 ? tcp_connect6(s->t, now, 0x0a000001, script_local6, 4000, 0x0a000002, script_remote6, 80, &ref)
                 : tcp_connect(s->t, now, 0x0a000001, 4000, 0x0a000002, 80, &ref);
}

/* A program that closes, and binds itself to a port which the kernel has found free, gets that very pair at times. */
START_TEST(gives_a_named_port_that_rests_away_again)
{
    struct script s;
    script_begin(&s, NULL);
    script_run(&s, "open\neof\n> FA 1\n< FA 1 ack 2\n> A 2 ack 2\nreadall\nevent CLOSED\n+5ms\n");
    ck_assert_int_eq(connect_again(&s), -EADDRINUSE);
    script_run(&s, "+10ms\n");
    ck_assert_int_eq(connect_again(&s), 0);
    script_run(&s, "> S 65540\n");
    script_end(&s);
}
END_TEST

START_TEST(takes_no_harm_from_stale_references)
{
    struct script s;
    struct iovec v[4];
    bool eof;
    script_begin(&s, NULL);
    script_run(&s, "open\nabort\n> RA 1\n");
    struct tcp_ref none = {0}, far = {12345, 1};
    struct tcp_ref all[] = {s.ref, none, far};
    for (size_t i = 0; i < 3; i++) {
        mono_t now = {s.now};
        tcp_accept(s.t, now, all[i]);
        tcp_refuse(s.t, now, all[i]);
        tcp_set_user(s.t, all[i], 1);
        ck_assert_int_eq(tcp_send_space(s.t, all[i], v), 0);
        tcp_send_commit(s.t, now, all[i], 10, true);
        tcp_send_eof(s.t, now, all[i]);
        ck_assert_int_eq(tcp_recv_spans(s.t, all[i], v, 4, &eof), 0);
        ck_assert(!eof);
        tcp_recv_consume(s.t, now, all[i], 10);
        tcp_close(s.t, now, all[i]);
        tcp_abort(s.t, now, all[i]);
    }
    script_run(&s, "open");
    ck_assert(s.ref.generation != all[0].generation);
    script_end(&s);
}
END_TEST

START_TEST(fails_the_connections_to_a_remote)
{
    struct script s;
    script_begin(&s, NULL);
    script_run(&s, "open");
    tcpip_fail_remote(s.t, (mono_t){s.now}, 0x0a000002, EHOSTUNREACH, false);
    script_run(&s, "state ESTABLISHED");
    tcpip_fail_remote(s.t, (mono_t){s.now}, 0x0a000003, EHOSTUNREACH, true);
    script_run(&s, "state ESTABLISHED");
    tcpip_fail_remote(s.t, (mono_t){s.now}, 0x0a000002, EHOSTUNREACH, true);
    script_run(&s, "event FAILED EHOSTUNREACH\nconnect\n> S 0");
    tcpip_fail_remote(s.t, (mono_t){s.now}, 0x0a000002, EHOSTUNREACH, false);
    script_run(&s, "event FAILED EHOSTUNREACH\n");
    script_end(&s);
}
END_TEST

/* Another host has taken the place of the remote: what stood is gone, and what is being opened asks it at once. */
START_TEST(a_remote_is_replaced)
{
    struct script s;
    script_begin(&s, NULL);
    script_run(&s, "open");
    tcpip_replace_remote(s.t, (mono_t){s.now}, 0x0a000003, ECONNRESET);
    script_run(&s, "state ESTABLISHED");
    tcpip_replace_remote(s.t, (mono_t){s.now}, 0x0a000002, ECONNRESET);
    script_run(&s, "event FAILED ECONNRESET\nconnect\n> S 0\nnone\n+100ms\nnone\n");
    tcpip_replace_remote(s.t, (mono_t){s.now}, 0x0a000002, ECONNRESET);
    script_run(&s, "+1ms\n> S 0\nnone\n");
    script_end(&s);
}
END_TEST

START_TEST(keeps_to_what_the_path_holds)
{
    struct script s;
    script_begin(&s, NULL);
    tcpip_set_path(s.t, 0x0a000002, 2500, 0);
    script_run(&s, "open\nwrite 5000 push\n> A 1:1000\n> A 1001:1000\nnone\n");
    script_run(&s, "+200us\n< A 1 ack 1001\n> A 2001:1000\nnone\n");
    tcpip_set_path(s.t, 0x0a000002, 0, 0);
    script_run(&s, "> A 3001:1000\n> PA 4001:1000\nnone\n");
    script_end(&s);
}
END_TEST

/* A has the path's room, B waits for it; then A may not send any more. */
START_TEST(passes_the_room_of_a_path_on)
{
    struct script s;
    struct tcp_ref b;
    struct iovec v[2];
    script_begin(&s, NULL);
    tcpip_set_path(s.t, 0x0a000002, 1500, 0);
    script_run(&s, "open");
    ck_assert_int_eq(tcp_connect(s.t, (mono_t){s.now}, 0x0a000001, 4001, 0x0a000002, 80, &b), 0);
    script_run(&s, "> S 0");
    uint8_t packet[100];
    struct segment g = {.src = 0x0a000002, .dst = 0x0a000001, .src_port = 80, .dst_port = 4001, .seq = s.peer_isn,
        .ack = s.t->isn + 1, .flags = TH_SYN | TH_ACK, .window = 60000, .mss = 1000};
    tcpip_input(s.t, (mono_t){s.now}, packet, segment_build(packet, &g, 1, 0));
    script_run(&s, "> A 1\nevent CONNECTED\nwrite 5000 push\n> A 1:1000\nnone");
    ck_assert_int_gt(tcp_send_space(s.t, b, v), 0);
    for (uint32_t i = 0; i < 1000; i++)
        ((uint8_t *)v[0].iov_base)[i] = (uint8_t)((i + 1) * 7 + ((i + 1) >> 8));
    tcp_send_commit(s.t, (mono_t){s.now}, b, 1000, true);
    script_run(&s, "none\n< A 1 ack 1001 win 0\n> PA 1:1000\nnone");
    script_end(&s);
}
END_TEST

/* A far path holds more than the socket at its end, which must not get it all at once. */
START_TEST(keeps_more_in_flight_the_longer_the_path)
{
    struct script s;
    script_begin(&s, NULL);
    tcpip_set_path(s.t, 0x0a000002, 2500, 0);
    script_run(&s,
        "open\nwrite 30000 push\n> A 1:1000\n> A 1001:1000\nnone\n"
        "+5ms\n< A 1 ack 1001\n"
        "> A 2001:1000\n> A 3001:1000\nnone\n"
        "+250us\n> A 4001:1000\n> A 5001:1000\n> A 6001:1000\nnone\n"
        "+250us\n> A 7001:1000\n> A 8001:1000\nnone\n");
    script_end(&s);
}
END_TEST

START_TEST(does_not_grow_its_window_on_a_full_path)
{
    struct script s;
    script_begin(&s, NULL);
    tcpip_set_path(s.t, 0x0a000002, 2500, 0);
    script_run(&s, "open\nwrite 30000 push\n> A 1:1000\n> A 1001:1000\n");
    for (int i = 0; i < 20; i++) {
        char text[120];
        snprintf(text, sizeof(text), "+200us\n< A 1 ack %d\n> A %d:1000\n", 1001 + 1000 * i, 2001 + 1000 * i);
        script_run(&s, text);
    }
    struct tcp_info_row row;
    uint32_t cursor = 0;
    ck_assert(tcpip_next(s.t, &cursor, &row));
    ck_assert_uint_le(row.cwnd, 10000);
    script_end(&s);
}
END_TEST

START_TEST(keeps_to_the_mtu_of_the_path)
{
    struct script s;
    script_begin(&s, NULL);
    s.mss = 9000;
    tcpip_set_path(s.t, 0x0a000002, 0, 700);
    script_run(&s, "connect\n> S 0 mss 1360\n< SA 0 ack 1\n> A 1 ack 1\nwrite 1000 push\n> A 1:648\n> PA 649:352\n");
    tcpip_set_path(s.t, 0x0a000002, 0, 600);
    script_run(&s, "write 600 push\n> A 1001:548\n> PA 1549:52\n");
    script_end(&s);
}
END_TEST

/* A path that gets narrow in the middle: what was in flight goes again in pieces that fit; and the other way round. */
START_TEST(follows_the_mtu_of_the_path_with_data_in_flight)
{
    struct script s;
    script_begin(&s, NULL);
    s.mss = 9000;
    script_run(&s, "open\nwrite 2696 push\n> A 1:1348\n> PA 1349:1348\n");
    tcpip_set_path(s.t, 0x0a000002, 0, 700);
    script_run(&s,
        "+400ms\n> PA 2049:648\n" /* the probe of the tail */
        "< A 1 ack 1 sack 2049-2697\n"
        "+2ms\n> A 1:648\n< A 1 ack 649 sack 2049-2697\n> A 649:648\n> A 1297:648\n"
        "< A 1 ack 1945 sack 2049-2697\n> A 1945:104\n"
        "< A 1 ack 2697\nwrite 1000 push\n> A 2697:648\n> PA 3345:352\n< A 1 ack 3697\n");
    tcpip_set_path(s.t, 0x0a000002, 0, 0);
    script_run(&s, "write 1400 push\n> A 3697:1348\n> PA 5045:52\n< A 1 ack 5097\n");
    /* nothing gets through any more, until it is known why: then at once */
    script_run(&s, "write 2696 push\n> A 5097:1348\n> PA 6445:1348\n+100ms\n> PA 6445:1348\n+1s\n"
        "> A 5097:1348\n> A 5097:1348\n> A 5097:1348\n> A 5097:1348\n> A 5097:1348\nnone\n");
    tcpip_set_path(s.t, 0x0a000002, 0, 700);
    script_run(&s, "> A 5097:648\n< A 1 ack 5745\n> A 5745:648\n> A 6393:52\n> A 6445:648\n< A 1 ack 7093\n> A 7093:648\n> PA 7741:52\n");
    script_end(&s);
}
END_TEST

START_TEST(tells_when_there_is_room_again)
{
    struct tcpip_config c;
    struct script s;
    struct iovec v[2];
    tcpip_config_default(&c);
    c.send_max = 8192;
    script_begin(&s, &c);
    script_run(&s, "open\nwrite 8192 push\n");
    ck_assert_int_eq(tcp_send_space(s.t, s.ref, v), 0);
    script_run(&s,
        "noevent\n"
        "> A 1:1000\n> A 1001:1000\n> A 2001:1000\n> A 3001:1000\n> A 4001:1000\n> A 5001:1000\n> A 6001:1000\n> A 7001:1000\n> PA 8001:192\n"
        "< A 1 ack 1001\n"
        "noevent\n"
        "< A 1 ack 4001\n"
        "event WRITABLE\n"
        "< A 1 ack 8193\n"
        "noevent\n");
    script_end(&s);
}
END_TEST

START_TEST(gives_idle_memory_back)
{
    struct script s;
    struct tcpip_stats before, during, after;
    script_begin(&s, NULL);
    script_run(&s, "open\n+2s");
    tcpip_stats(s.t, &before);
    script_run(&s, "write 5000 push\n> A 1:1000\n> A 1001:1000\n> A 2001:1000\n> A 3001:1000\n> PA 4001:1000\n"
                   "< A 1:1000 ack 5001\n> A 5001 ack 1001\n");
    tcpip_stats(s.t, &during);
    ck_assert_uint_gt(during.memory, before.memory + 8192);
    script_run(&s, "read 1000\n+2s");
    tcpip_stats(s.t, &after);
    ck_assert_uint_le(after.memory, before.memory + sizeof(struct spans));
    ck_assert_uint_lt(sizeof(struct conn), 2048);
    script_end(&s);
}
END_TEST

START_TEST(survives_any_damage_to_a_packet)
{
    struct script s;
    script_begin(&s, NULL);
    script_run(&s, "open");
    uint8_t packet[200];
    struct segment g = {.src = 0x0a000002, .dst = 0x0a000001, .src_port = 80, .dst_port = 4000, .seq = 70001, .ack = 1001,
        .flags = TH_ACK, .window = 100, .has_stamps = true, .ts_val = 600, .sacks = 3, .sack = {{1, 2}, {3, 4}, {5, 6}}};
    size_t len = segment_build(packet, &g, 1, 0);
    for (size_t i = 0; i < len * 8; i++) {
        uint8_t *copy = malloc(len);
        memcpy(copy, packet, len);
        copy[i / 8] ^= (uint8_t)(1 << i % 8);
        tcpip_input(s.t, (mono_t){s.now}, copy, len);
        tcpip_settle(s.t, (mono_t){s.now});
        free(copy);
    }
    struct tcpip_stats st;
    tcpip_stats(s.t, &st);
    ck_assert_uint_eq(st.in_bad, len * 8);
    script_end(&s);
}
END_TEST

/* ---- many ---- */

START_TEST(carries_ten_thousand_connections)
{
    enum { MANY = 10000 };
    struct tcpip_config c;
    struct tcpip_stats base, st;
    tcpip_config_default(&c);
    struct tcpip *t = tcpip_new(&c);
    tcpip_stats(t, &base);
    struct tcp_ref *ref = calloc(MANY, sizeof(*ref));
    static struct tcpip_packet v[16];
    uint32_t src, dst;
    uint64_t now = 1000000;
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(tcp_connect(t, (mono_t){now}, 1, (uint16_t)(1000 + i), 2, 80, &ref[i]), 0);
    for (size_t n; (n = tcpip_output(t, (mono_t){now}, v, 16, &src, &dst)) > 0;) {
        for (size_t i = 0; i < n; i++) {
            struct segment a, s = {.src = 2, .dst = 1, .src_port = 80, .flags = TH_SYN | TH_ACK, .seq = 77, .window = 1000};
            struct ip_header ip;
            ck_assert(ip_parse(v[i].head, v[i].len, &ip) && segment_parse(v[i].head, &ip, &a));
            uint8_t packet[80];
            s.dst_port = a.src_port;
            s.ack = a.seq + 1;
            tcpip_input(t, (mono_t){now}, packet, segment_build(packet, &s, 1, 0));
        }
        tcpip_settle(t, (mono_t){now++});
    }
    struct tcpip_event e;
    int connected = 0;
    while (tcpip_event(t, &e))
        connected += e.kind == TCPIP_CONNECTED;
    ck_assert_int_eq(connected, MANY);
    tcpip_stats(t, &st);
    ck_assert_uint_eq(st.conns, MANY);
    ck_assert_uint_lt((st.memory - base.memory) / MANY, 2048);
    for (int i = 0; i < MANY; i++)
        tcp_abort(t, (mono_t){now}, ref[i]);
    tcpip_stats(t, &st);
    ck_assert_uint_eq(st.conns, 0);
    ck_assert_uint_eq(st.memory, base.memory);
    free(ref);
    tcpip_free(t);
}
END_TEST

/* Connected to that host, which answers nothing but the SYN. */
static void open_one(struct tcpip *t, uint32_t host, uint16_t port, struct tcp_ref *ref)
{
    struct tcpip_packet v[16];
    uint32_t src, dst;
    uint8_t packet[80];
    ck_assert_int_eq(tcp_connect(t, (mono_t){1}, 1, port, host, 80, ref), 0);
    ck_assert_uint_eq(tcpip_output(t, (mono_t){1}, v, 16, &src, &dst), 1);
    struct ip_header ip;
    struct segment a, s = {.src = host, .dst = 1, .src_port = 80, .dst_port = port, .flags = TH_SYN | TH_ACK, .seq = 77, .window = 1000};
    ck_assert(ip_parse(v[0].head, v[0].len, &ip) && segment_parse(v[0].head, &ip, &a));
    s.ack = a.seq + 1;
    tcpip_input(t, (mono_t){2}, packet, segment_build(packet, &s, 1, 0));
    tcpip_settle(t, (mono_t){2});
    while (tcpip_output(t, (mono_t){2}, v, 16, &src, &dst))
        ;
}

/* Its program writes as much as there is room for. Returns that. */
static size_t fill_one(struct tcpip *t, struct tcp_ref ref)
{
    struct iovec room[2];
    size_t all = 0, n;
    while (tcp_send_space(t, ref, room) > 0 && (n = room[0].iov_len) > 0) {
        memset(room[0].iov_base, 1, n);
        tcp_send_commit(t, (mono_t){2}, ref, n, true);
        all += n;
    }
    return all;
}

static uint64_t held_by(const struct tcpip *t, uint32_t host)
{
    struct path *p = path_get((struct tcpip *)t, host, false);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < t->n_slots; i++) {
        const struct conn *c = t->slots[i].conn;
        sum += c && c->path == p ? c->tx.cap + c->rx.cap : 0;
    }
    ck_assert_uint_eq(p ? p->held : 0, p ? sum : 0); /* reckoned right */
    return p ? p->held : 0;
}

/* Whoever opens many connections and lets what is for it pile up takes half at most: others still get buffers that are worth the name. */
START_TEST(one_host_does_not_get_all_memory)
{
    enum { MAX = 16 << 20, MANY = 250 };
    struct tcpip_config c;
    struct tcp_ref ref[MANY], other;
    tcpip_config_default(&c);
    c.memory_max = MAX;
    struct tcpip *t = tcpip_new(&c);
    for (unsigned i = 0; i < MANY; i++)
        open_one(t, 2, (uint16_t)(1000 + i), &ref[i]);
    open_one(t, 3, 1000, &other);
    for (unsigned i = 0; i < MANY; i++)
        fill_one(t, ref[i]);
    ck_assert_uint_le(held_by(t, 2), MAX / 2 + MANY * RING_LEAST);
    ck_assert_uint_ge(held_by(t, 2), MAX / 4); /* it is this which holds them back, and not that they are small */
    ck_assert_uint_ge(fill_one(t, other), 4 * RING_LEAST);
    held_by(t, 3);
    for (unsigned i = 0; i < MANY; i++) {
        tcp_abort(t, (mono_t){3}, ref[i]);
        held_by(t, 2);
    }
    ck_assert_uint_eq(held_by(t, 2), 0);
    tcpip_free(t);
}
END_TEST

START_TEST(refuses_connections_when_memory_is_used_up)
{
    struct tcpip_config c;
    struct tcpip_stats st;
    struct tcp_ref ref, first = {0};
    tcpip_config_default(&c);
    c.memory_max = 1 << 20;
    struct tcpip *t = tcpip_new(&c);
    int n = 0, err = 0;
    for (; n < 1000 && !(err = tcp_connect(t, (mono_t){1}, 1, (uint16_t)(1000 + n), 2, 80, &ref)); n++)
        first = n ? first : ref;
    ck_assert_int_eq(err, -ENOBUFS);
    ck_assert_int_gt(n, 50);
    struct segment s = {.src = 2, .dst = 1, .src_port = 99, .dst_port = 22, .flags = TH_SYN, .seq = 77, .window = 1000};
    uint8_t packet[80];
    struct tcpip_event e;
    tcpip_input(t, (mono_t){2}, packet, segment_build(packet, &s, 1, 0)); /* silence: it will ask again */
    ck_assert(!tcpip_event(t, &e));
    tcpip_stats(t, &st);
    ck_assert_int_eq(st.conns, n);
    ck_assert_uint_eq(st.refused_memory, 2);
    ck_assert_uint_le(st.memory, st.memory_max);
    tcp_abort(t, (mono_t){3}, first);
    tcpip_input(t, (mono_t){4}, packet, segment_build(packet, &s, 1, 0));
    ck_assert(tcpip_event(t, &e) && e.kind == TCPIP_INCOMING);
    tcpip_free(t);
}
END_TEST

/* ---- ICMP ---- */

/* ---- ICMP errors ---- */

SCRIPT(ends_an_opening_with_an_icmp_error,
    "connect\n"
    "> S 0\n"
    "icmp host 1\n"
    "icmp port 4294966296\n"
    "noevent\n"
    "icmp host 0\n"
    "event FAILED EHOSTUNREACH\n"
    "state gone\n")

SCRIPT(is_refused_by_icmp,
    "connect\n"
    "> S 0\n"
    "icmp port 0\n"
    "event FAILED ECONNREFUSED\n")

/* The script, then silence until the connection gives up: with which errno. */
static int end_of(const char *text)
{
    struct script s;
    struct tcpip_config c;
    struct tcpip_packet v[8];
    struct tcpip_event e = {0};
    uint32_t src, dst;
    tcpip_config_default(&c);
    script_begin(&s, &c);
    script_run(&s, text);
    for (int i = 0; i < 1000 && e.kind != TCPIP_FAILED; i++) {
        mono_t now = tcpip_deadline(s.t);
        if (now.us == MONO_NEVER.us)
            break;
        tcpip_expire(s.t, now);
        while (tcpip_output(s.t, now, v, 8, &src, &dst) > 0)
            ;
        while (e.kind != TCPIP_FAILED && tcpip_event(s.t, &e))
            ;
    }
    script_end(&s);
    return e.err;
}

START_TEST(gives_up_with_the_icmp_error_it_remembers)
{
    ck_assert_int_eq(end_of("open\n"
                            "write 10 push\n"
                            "> PA 1:10 ack 1\n"
                            "icmp port 5000\n"
                            "icmp host 1\n"
                            "noevent\n"
                            "state ESTABLISHED\n"),
        EHOSTUNREACH);
}
END_TEST

START_TEST(forgets_an_icmp_error_with_the_next_ack)
{
    ck_assert_int_eq(end_of("open\n"
                            "write 10 push\n"
                            "> PA 1:10 ack 1\n"
                            "icmp net 1\n"
                            "+10ms\n"
                            "< A 1 ack 11\n"
                            "write 10 push\n"
                            "> PA 11:10 ack 1\n"),
        ETIMEDOUT);
}
END_TEST

SCRIPT(makes_segments_smaller_for_a_narrow_way,
    "open\n"
    "write 1000 push\n"
    "> PA 1:1000 ack 1\n"
    "icmp big 9000 600\n"
    "icmp big 1 60000\n"
    "+10ms\n"
    "< A 1 ack 1001\n"
    "write 1000 push\n"
    "> PA 1001:1000 ack 1\n"
    "+10ms\n"
    "icmp big 1001 40\n"
    "< A 1 ack 2001\n"
    "write 552 push\n"
    "> A 2001:500\n"
    "> PA 2501:52\n")

START_TEST(answers_echo_and_reports_replies)
{
    struct tcpip_config c;
    static struct tcpip_packet v[4];
    uint32_t src, dst;
    tcpip_config_default(&c);
    struct tcpip *a = tcpip_new(&c);
    c.seed[0] = 1;
    struct tcpip *b = tcpip_new(&c);
    mono_t now = {5};
    ck_assert_int_eq(tcpip_ping(a, now, 1, 2, 33, 44), 0);
    ck_assert_uint_eq(tcpip_output(a, now, v, 4, &src, &dst), 1);
    ck_assert(src == 1 && dst == 2);
    uint8_t packet[200];
    memcpy(packet, v[0].head, v[0].head_len);
    /* with some payload */
    memcpy(packet + 28, "hello", 5);
    ip_build(packet, 1, 2, IP_ICMP, 9, 33);
    ip_store16(packet + 22, 0);
    ip_store_sum(packet + 22, ip_sum(packet + 20, 13));
    tcpip_input(b, now, packet, 33);
    tcpip_settle(b, now);
    ck_assert_uint_eq(tcpip_output(b, now, v, 4, &src, &dst), 1);
    ck_assert(src == 2 && dst == 1 && v[0].len == 33);
    memcpy(packet, v[0].head, v[0].head_len);
    memcpy(packet + v[0].head_len, v[0].body[0].iov_base, v[0].body[0].iov_len);
    ck_assert_mem_eq(packet + 28, "hello", 5);
    ck_assert_uint_eq(tcpip_output(b, now, v, 4, &src, &dst), 0);
    tcpip_input(a, now, packet, 33);
    struct tcpip_event e;
    ck_assert(tcpip_event(a, &e));
    ck_assert(e.kind == TCPIP_ECHO_REPLY && e.remote == 2 && e.local == 1 && e.ident == 33 && e.sequence == 44);
    packet[30] ^= 1;
    tcpip_input(a, now, packet, 33);
    ck_assert(!tcpip_event(a, &e));
    tcpip_free(a);
    tcpip_free(b);
}
END_TEST

static void speak_ipv6(void)
{
    script_v6 = true;
}

int main(void)
{
    const TTest *const tests[] = {
        offers_ecn_and_marks_new_data_only, takes_ecn_and_tells_of_a_mark_until_it_is_heard,
        slows_down_once_in_a_round_trip_when_told, answers_no_ecn_to_one_who_throws_all_flags_back,
        asks_without_ecn_when_nobody_answers, ignores_marks_that_were_not_agreed_on,
        goes_on_without_where_ect_does_not_get_through,
        opens_actively, opens_passively_only_after_accept, answers_a_repeated_syn_again, refuses_with_rst, is_refused,
        repeats_syn_and_gives_up, opens_from_both_sides_at_once, answers_a_stray_segment_with_rst,
        refuses_a_half_open_peers_ack, takes_536_when_no_mss_was_named, does_without_any_option, carries_data_both_ways,
        acknowledges_a_lone_segment_late_and_two_at_once, acknowledges_a_batch_once, lets_an_ack_ride_on_data,
        holds_small_segments_back_until_pushed, reassembles_and_reports_holes, reports_duplicates, cuts_what_overlaps,
        takes_more_pieces_than_there_are_spans, keeps_what_is_not_read_beyond_the_batch, goes_on_through_the_wrap,
        repairs_a_hole_at_three_sacked_segments, repairs_many_holes_in_one_round, repairs_a_lost_repair_without_a_time_out,
        sends_new_data_while_it_waits_for_proof, counts_duplicates_of_a_peer_without_sack,
        gives_a_peer_without_sack_every_duplicate, probes_the_tail_before_it_times_out, times_out_and_backs_off, does_not_back_off_at_once_when_thin,
        ends_the_back_off_when_a_copy_gets_through, follows_a_peer_that_begins_anew,
        does_not_grow_its_window_on_a_full_path, sends_no_fin_into_a_shut_window, passes_the_room_of_a_path_on, speaks_inside_a_window_that_was_shrunk, bears_with_a_peer_that_shuts_its_window_on_data_in_flight,
        takes_back_a_time_out_that_was_none, gives_up_after_many_time_outs, probes_a_shut_window, sends_no_silly_segments,
        is_patient_with_a_peer_that_sleeps_and_does_not_let_it_wait,
        asks_a_peer_that_may_have_forgotten_it,
        a_connection_in_the_making_asks_such_a_peer_at_once,
        keeps_to_the_peers_window, shuts_its_window_and_opens_it_again, answers_a_window_probe, closes_first, closes_second,
        closes_from_both_sides_at_once, takes_a_fin_that_came_too_early, repeats_its_fin,
        lets_acks_of_syn_and_fin_ride, acknowledges_syn_and_fin_soon_in_silence,
        delivers_what_was_written_before_close, resets_when_data_comes_after_close, resets_when_closed_with_unread_data,
        sends_what_is_buffered_before_that_reset, forgets_an_orphan_whose_peer_never_closes, aborts,
        takes_a_new_connection_over_time_wait, sees_a_rst_for_its_last_fin_as_the_end, is_reset_only_by_the_exact_number,
        challenges_a_syn_in_the_window, challenges_an_ack_of_what_was_not_sent, drops_what_paws_knows_to_be_old,
        delivers_what_came_before_a_reset, ignores_data_far_outside_the_window, cuts_data_at_the_window, keeps_alive,
        forgets_unanswered_syns, bounds_a_flood_of_syns, a_flood_of_syns_leaves_room_for_other_hosts, one_host_does_not_get_all_connections, bounds_its_connections, finds_free_ports,
        gives_a_named_port_that_rests_away_again,
        takes_no_harm_from_stale_references, fails_the_connections_to_a_remote, a_remote_is_replaced, keeps_to_what_the_path_holds,
        keeps_more_in_flight_the_longer_the_path, keeps_to_the_mtu_of_the_path, follows_the_mtu_of_the_path_with_data_in_flight,
        tells_when_there_is_room_again, gives_idle_memory_back, survives_any_damage_to_a_packet,
        carries_ten_thousand_connections, one_host_does_not_get_all_memory, refuses_connections_when_memory_is_used_up, answers_echo_and_reports_replies,
        ends_an_opening_with_an_icmp_error, is_refused_by_icmp, gives_up_with_the_icmp_error_it_remembers,
        forgets_an_icmp_error_with_the_next_ack, makes_segments_smaller_for_a_narrow_way,
    };
    /* those which build IPv4 packets of their own, name an MSS that follows from IPv4's header, or are about no conversation */
    const TTest *const only4[] = {
        opens_actively, opens_passively_only_after_accept, takes_536_when_no_mss_was_named, passes_the_room_of_a_path_on,
        keeps_to_the_mtu_of_the_path, follows_the_mtu_of_the_path_with_data_in_flight, survives_any_damage_to_a_packet,
        bounds_a_flood_of_syns, a_flood_of_syns_leaves_room_for_other_hosts, one_host_does_not_get_all_connections, bounds_its_connections, finds_free_ports, carries_ten_thousand_connections,
        one_host_does_not_get_all_memory, answers_echo_and_reports_replies, makes_segments_smaller_for_a_narrow_way,
    };
    Suite *s = suite_create("tcp");
    TCase *c = tcase_create("tcp"), *c6 = tcase_create("tcp6");
    tcase_add_checked_fixture(c6, speak_ipv6, NULL);
    for (size_t i = 0; i < ARRAY_LEN(tests); i++) {
        bool both = true;
        for (size_t k = 0; k < ARRAY_LEN(only4); k++)
            both = both && tests[i] != only4[k];
        tcase_add_test(c, tests[i]);
        if (both)
            tcase_add_test(c6, tests[i]);
    }
    suite_add_tcase(s, c);
    suite_add_tcase(s, c6);
    return suite_run(s);
}

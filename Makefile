# i3run: `make` builds, `make demo` shows, `make check` tests; `make help` lists the rest.
# One list per room, one source per line; objects in build/; quiet unless V=1; SAN=1 for ASan+UBSan.

VERSION := 0.1.0
PREFIX  ?= /usr/local
CC      ?= gcc
CLANG   ?= clang

ifeq ($(SAN),1)
B       := build/san
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined
else ifeq ($(SAN),thread)
B       := build/tsan
SANFLAGS := -fsanitize=thread
else
B       := build
SANFLAGS :=
endif
Q       := $(if $(V),,@)

CFLAGS  ?= -O2 -g
WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Werror
CPPFLAGS += -D_GNU_SOURCE -DI3_VERSION='"$(VERSION)"' -I. -D_FORTIFY_SOURCE=2
ALL_CFLAGS = -std=gnu11 $(WARN) $(CFLAGS) -fno-strict-aliasing -MMD -MP $(CPPFLAGS)
ifneq ($(SAN),)
ALL_CFLAGS += -U_FORTIFY_SOURCE $(SANFLAGS) -fno-omit-frame-pointer
endif

# libipsec-mb where there is one (x86-64): DESIGN section 7
ifneq ($(wildcard /usr/include/intel-ipsec-mb.h),)
CPPFLAGS += -DHAVE_IPSEC_MB
MB_LIBS  := -lIPSec_MB
endif

# ---- rooms ---------------------------------------------------------------------------------------
base_SRC := \
	daemon/base/crypto.c \
	daemon/base/format.c \
	daemon/base/journal.c \
	daemon/base/id.c \
	daemon/base/lookout.c \

naming_SRC := \
	daemon/naming/book.c \
	daemon/naming/groups.c \
	daemon/naming/hashname.c \
	daemon/naming/mappings.c \
	daemon/naming/pool.c \
	daemon/naming/txtname.c \

dns_SRC := \
	daemon/dns/stub.c \

policy_SRC := \
	daemon/policy/access.c \
	daemon/policy/shares.c \
	daemon/policy/node_list.c \
	daemon/policy/suffix.c \
	daemon/policy/config.c \
	daemon/policy/outline.c \
	daemon/policy/pattern.c \
	daemon/policy/rules.c \
	daemon/policy/schema.c \
	daemon/policy/networks.c \
	daemon/policy/values.c \
	daemon/policy/drops.c \

mesh_SRC := \
	daemon/mesh/mesh.c \
	daemon/mesh/mesh_probe.c \
	daemon/mesh/mesh_relay.c \
	daemon/mesh/mesh_way.c \

i3_SRC := \
	daemon/i3/cookie.c \
	daemon/i3/deadline.c \
	daemon/i3/group.c \
	daemon/i3/handshake.c \
	daemon/i3/invite.c \
	daemon/i3/rotation.c \
	daemon/i3/nodes.c \
	daemon/i3/noise.c \
	daemon/i3/path.c \
	daemon/i3/peer.c \
	daemon/i3/peer_member.c \
	daemon/i3/peer_shake.c \
	daemon/i3/peer_way.c \
	daemon/i3/pmtu.c \
	daemon/i3/proof.c \
	daemon/i3/seal.c \
	daemon/i3/owners.c \
	daemon/i3/sampler.c \
	daemon/i3/session.c \
	daemon/i3/transport.c \
	daemon/i3/trigger.c \
	daemon/i3/trigger_answer.c \
	daemon/i3/trigger_doubt.c \
	daemon/i3/trigger_send.c \
	daemon/i3/trigger_watch.c \

node_SRC := \
	daemon/node/batch.c \
	daemon/node/cluster.c \
	daemon/node/forward.c \
	daemon/node/insert.c \
	daemon/node/limit.c \
	daemon/node/node.c \
	daemon/node/rate.c \
	daemon/node/ring.c \
	daemon/node/ring_cache.c \
	daemon/node/ring_call.c \
	daemon/node/ring_find.c \
	daemon/node/ring_walk.c \
	daemon/node/ring_wire.c \
	daemon/node/store.c \
	daemon/node/trie.c \
	daemon/node/worker.c \

tcpip_SRC := \
	daemon/tcpip/ip.c \
	daemon/tcpip/udp.c \
	daemon/tcpip/fragment.c \
	daemon/tcpip/icmp_error.c \
	daemon/tcpip/ip6.c \
	daemon/tcpip/ring.c \
	daemon/tcpip/ranges.c \
	daemon/tcpip/segment.c \
	daemon/tcpip/rto.c \
	daemon/tcpip/heap.c \
	daemon/tcpip/memory.c \
	daemon/tcpip/ecn.c \
	daemon/tcpip/bbr.c \
	daemon/tcpip/choose.c \
	daemon/tcpip/cubic.c \
	daemon/tcpip/scoreboard.c \
	daemon/tcpip/table.c \
	daemon/tcpip/conn.c \
	daemon/tcpip/events.c \
	daemon/tcpip/timers.c \
	daemon/tcpip/receive.c \
	daemon/tcpip/acks.c \
	daemon/tcpip/recovery.c \
	daemon/tcpip/input.c \
	daemon/tcpip/output.c \
	daemon/tcpip/icmp.c \
	daemon/tcpip/icmp_tcp.c \
	daemon/tcpip/api.c \
	daemon/tcpip/engine.c \

program_SRC := \
	daemon/program/backlog.c \
	daemon/program/dgram.c \
	daemon/program/dgram_file.c \
	daemon/program/listener.c \
	daemon/program/vsock.c \

middlebox_SRC := \
	daemon/middlebox/route.c \
	daemon/middlebox/show.c \
	daemon/middlebox/verdict.c \
	daemon/middlebox/word.c \

gateway_SRC := \
	daemon/gateway/to_ip.c \
	daemon/gateway/vias.c \
	daemon/gateway/words.c \
	daemon/gateway/dns_limit.c \
	daemon/gateway/dns_zone.c \
	daemon/gateway/from_ip.c \
	daemon/gateway/http_gate.c \
	daemon/gateway/http_host.c \
	daemon/gateway/tls_sni.c \

control_SRC := \
	daemon/control/access_report.c \
	daemon/control/box_report.c \
	daemon/control/drop_report.c \
	daemon/control/anon_report.c \
	daemon/control/gateway_report.c \
	daemon/control/host_metrics.c \
	daemon/control/metrics.c \
	daemon/control/node_report.c \
	daemon/control/pcapng.c \
	daemon/control/prom.c \
	daemon/control/overlay_report.c \
	daemon/control/mesh_report.c \
	daemon/control/portal_report.c \
	daemon/control/report.c \
	daemon/control/share_report.c \
	daemon/control/warnings.c \
	daemon/control/why.c \

io_SRC := \
	daemon/io/accel.c \
	daemon/io/addresses.c \
	daemon/io/clock.c \
	daemon/io/exe.c \
	daemon/io/fdset.c \
	daemon/io/files.c \
	daemon/io/ipc_server.c \
	daemon/io/journal_file.c \
	daemon/io/log.c \
	daemon/io/log_format.c \
	daemon/io/loopback.c \
	daemon/io/mirror.c \
	daemon/io/pages.c \
	daemon/io/pair.c \
	daemon/io/process.c \
	daemon/io/routes.c \
	daemon/io/secret.c \
	daemon/io/stream.c \
	daemon/io/stream_join.c \
	daemon/io/stream_out.c \
	daemon/io/train.c \
	daemon/io/udp.c \
	daemon/io/watch.c \

i3d_SRC := \
	daemon/i3d.c \
	daemon/ensure.c \
	daemon/host_options.c \
	daemon/host_sandbox.c \
	daemon/keeper.c \
	daemon/identity.c \
	daemon/io/notify.c \
	daemon/io/passed.c \
	daemon/io/sandbox.c \
	daemon/io/tap.c \
	daemon/pump/box.c \
	daemon/pump/box_alert.c \
	daemon/pump/box_way.c \
	daemon/pump/box_show.c \
	daemon/pump/box_control.c \
	daemon/pump/node_pump.c \
	daemon/pump/word.c \
	daemon/pump/nodes.c \
	daemon/pump/nodes_control.c \
	daemon/pump/node_stream.c \
	daemon/pump/node_workers.c \
	daemon/paths.c \
	daemon/pump/pump.c \
	daemon/pump/access.c \
	daemon/pump/strangers.c \
	daemon/pump/anon.c \
	daemon/pump/share.c \
	daemon/pump/share_control.c \
	daemon/pump/join.c \
	daemon/pump/rotate.c \
	daemon/pump/door.c \
	daemon/io/resolver.c \
	daemon/pump/claims.c \
	daemon/pump/control.c \
	daemon/pump/dns.c \
	daemon/pump/dns_tcp.c \
	daemon/io/outward.c \
	daemon/pump/gate_client.c \
	daemon/pump/gate_server.c \
	daemon/pump/gate_udp.c \
	daemon/pump/gate_control.c \
	daemon/pump/flow.c \
	daemon/pump/drop.c \
	daemon/pump/renew.c \
	daemon/pump/group.c \
	daemon/pump/group_control.c \
	daemon/pump/ipc.c \
	daemon/pump/link.c \
	daemon/pump/listen.c \
	daemon/pump/look.c \
	daemon/pump/lookup.c \
	daemon/pump/mcast.c \
	daemon/pump/names.c \
	daemon/pump/overlay.c \
	daemon/pump/ring.c \
	daemon/pump/mesh.c \
	daemon/pump/twin.c \
	daemon/pump/mesh_control.c \
	daemon/pump/overlays.c \
	daemon/pump/net.c \
	daemon/pump/ping.c \
	daemon/pump/policy.c \
	daemon/io/accept.c \
	daemon/pump/portal.c \
	daemon/pump/portal_conn.c \
	daemon/pump/portal_dns.c \
	daemon/pump/portal_http.c \
	daemon/pump/portal_look.c \
	daemon/pump/portal_tls.c \
	daemon/pump/why.c \
	daemon/pump/reload.c \
	daemon/pump/udp.c \
	daemon/pump/waypoint.c \
	daemon/pump/mirror.c \
	daemon/pump/deliver.c \
	daemon/pump/move.c \
	daemon/pump/sample.c \
	daemon/pump/shortcut.c \
	daemon/pump/trace.c \
	daemon/pump/state.c \

i3node_SRC := \
	daemon/i3node.c \
	daemon/identity.c \
	daemon/node_control.c \
	daemon/node_watch.c \
	daemon/node_options.c \
	daemon/pump/node_pump.c \
	daemon/pump/node_stream.c \
	daemon/control/metrics.c \
	daemon/control/node_report.c \
	daemon/control/prom.c \
	daemon/pump/node_workers.c \
	daemon/io/http.c \
	daemon/io/notify.c \
	daemon/io/sandbox.c \

shim_SRC := \
	shim/init.c \
	shim/inherit.c \
	shim/known.c \
	shim/libc.c \
	shim/names.c \
	shim/lookout.c \
	shim/nss.c \
	shim/target.c \
	shim/reroute.c \
	shim/config.c \
	shim/conn.c \
	shim/explain.c \
	shim/client.c \
	shim/overlay.c \
	shim/fdtable.c \
	shim/dns.c \
	shim/epolls.c \
	shim/pair.c \
	shim/options.c \
	shim/claim.c \
	shim/readable.c \
	shim/twins.c \
	shim/udp.c \
	shim/hooks/connect.c \
	shim/hooks/socket.c \
	shim/hooks/bind.c \
	shim/hooks/sockopt.c \
	shim/hooks/epoll.c \
	shim/hooks/addressed.c \
	shim/hooks/answer.c \
	shim/hooks/control.c \
	shim/hooks/received.c \
	shim/hooks/names.c \
	shim/hooks/nss.c \
	shim/hooks/hostent.c \
	shim/hooks/resolver.c \
	shim/hooks/exec.c \
	shim/hooks/ioctl.c \
	shim/hooks/syscall.c \
	shim/hooks/shutdown.c \

i3run_SRC := \
	tools/i3run.c \
	tools/i3run/passed.c \
	tools/i3run/command.c \
	tools/i3run/daemon.c \
	tools/i3run/engine.c \
	tools/i3run/environment.c \
	tools/i3run/fdtable.c \
	tools/i3run/filter.c \
	tools/i3run/job.c \
	tools/i3run/strict.c \
	tools/i3run/anonymous.c \
	tools/i3run/trap.c \
	tools/i3run/trap_connect.c \
	tools/i3run/trap_dgram.c \
	tools/i3run/trap_listen.c \
	tools/i3run/trap_names.c \
	tools/i3run/wait.c \
	shim/claim.c \
	shim/client.c \
	shim/config.c \
	shim/conn.c \
	shim/explain.c \
	shim/dns.c \
	shim/epolls.c \
	shim/hooks/control.c \
	shim/known.c \
	shim/lookout.c \
	shim/names.c \
	shim/options.c \
	shim/overlay.c \
	shim/pair.c \
	shim/readable.c \
	shim/target.c \
	shim/udp.c \

i3ctl_SRC := \
	tools/i3ctl.c \
	tools/i3ctl_demo.c \
	tools/i3ctl_box.c \
	tools/i3ctl_drop.c \
	tools/i3ctl_anonymous.c \
	tools/i3ctl_gateway.c \
	tools/i3ctl_group.c \
	tools/i3ctl_nodes.c \
	tools/i3ctl_help.c \
	tools/i3ctl_doctor.c \
	tools/i3ctl_doctor_host.c \
	tools/i3ctl_doctor_net.c \
	tools/i3ctl_link.c \
	tools/i3ctl_log.c \
	tools/i3ctl_packet.c \
	tools/i3ctl_ping.c \
	tools/i3ctl_portal.c \
	tools/i3ctl_share.c \
	tools/i3ctl_qr.c \
	tools/i3ctl_mesh.c \
	tools/i3ctl_ring.c \
	tools/i3ctl_show.c \
	tools/i3ctl_status.c \
	tools/i3ctl_policy.c \
	tools/i3ctl_table.c \
	tools/i3ctl_trace.c \
	tools/i3ctl_world.c \

PURE_ROOMS := base dns naming policy i3 node tcpip middlebox program gateway mesh control
# what a room needs beside itself, when a test or program links it
base_LIBS   := -lcrypto
policy_LIBS := -lconfuse -lpcre2-8
gateway_LIBS := -lldns
control_LIBS := -ljansson
io_LIBS     := -luv -lseccomp $(MB_LIBS)

# ---- programs ------------------------------------------------------------------------------------
PROGRAMS := $(if $(i3d_SRC),i3d) $(if $(i3node_SRC),i3node) $(if $(i3run_SRC),i3run) $(if $(i3ctl_SRC),i3ctl)
LIBRARY  := $(if $(shim_SRC),$(B)/lib/i3run/libi3shim.so)

i3d_ROOMS    := base dns naming policy i3 node tcpip middlebox program gateway mesh control io
i3d_LIBS     := $(MB_LIBS) -luv -lcares -lldns -lconfuse -lpcre2-8 -ljansson -lseccomp -lcrypto
i3node_ROOMS := base policy i3 node io
i3node_LIBS  := $(MB_LIBS) -luv -lconfuse -lpcre2-8 -ljansson -lseccomp -lcrypto
i3run_ROOMS  :=
i3run_LIBS   := -lpthread
i3ctl_ROOMS  :=
i3ctl_LIBS   := -lqrencode -ljansson

MAN_PAGES := i3run.1 i3ctl.1 i3d.1 i3node.1 i3.conf.5
# without scdoc, which is not everywhere, there are no manual pages, and all else is there
MAN       := $(if $(shell command -v scdoc),$(MAN_PAGES:%=build/man/%))

# ---- tests: the source of NAME is tests/NAME.c -------------------------------------------------------
UNIT_TESTS := \
	unit/include/wire \
	unit/include/ipc \
	unit/shim/target \
	unit/base/crypto \
	unit/base/id \
	unit/base/journal \
	unit/base/lookout \
	unit/dns/stub \
	unit/naming/book \
	unit/naming/groups \
	unit/naming/hashname \
	unit/naming/txtname \
	unit/policy/node_list \
	unit/policy/suffix \
	unit/naming/pool \
	unit/naming/mappings \
	unit/policy/config \
	unit/policy/rules \
	unit/policy/documents \
	unit/policy/drops \
	unit/policy/networks \
	unit/gateway/words \
	unit/gateway/tables \
	unit/policy/access \
	unit/policy/shares \
	unit/i3/cookie \
	unit/i3/deadline \
	unit/i3/group \
	unit/i3/handshake \
	unit/i3/invite \
	unit/i3/rotation \
	unit/i3/nodes \
	unit/i3/sampler \
	unit/i3/noise \
	unit/i3/owners \
	unit/mesh/wire \
	unit/i3/path \
	unit/i3/peer \
	unit/i3/pmtu \
	unit/middlebox/route \
	unit/middlebox/show \
	unit/middlebox/verdict \
	unit/middlebox/word \
	unit/i3/proof \
	unit/i3/seal \
	unit/i3/transport \
	unit/i3/trigger \
	unit/node/node \
	unit/node/limits \
	unit/node/ring_cache \
	unit/node/ring_wire \
	unit/node/store \
	unit/node/worker \
	unit/tcpip/ip \
	unit/tcpip/ip6 \
	unit/tcpip/laws \
	unit/tcpip/behind \
	unit/tcpip/parts \
	unit/tcpip/tcp \
	unit/tcpip/udp \
	unit/program/vsock \
	unit/program/dgram \
	unit/io/sockets \
	unit/io/stream \
	unit/io/mirror \
	unit/io/operator \
	unit/io/sandbox \
	unit/io/exe \
	unit/io/journal_file \
	unit/control/pcapng \
	unit/gateway/dns_zone \
	unit/gateway/from_ip \
	unit/gateway/http \
	unit/tools/packet \

SIM_TESTS := \
	sim/sessions \
	sim/mesh \
	sim/members \
	sim/shortcuts \
	sim/tcp \
	sim/tcp_goodput \
	sim/tcp_bars \
	sim/intruders \
	sim/cookies \
	sim/overlay \
	sim/ring \
	sim/ring_hosts \

# helpers that integration tests run
TEST_PROGRAMS := \
	bench/load \
	bench/node \
	bench/node_load \
	bench/path \
	fuzz/flood \
	interop/tcp_tun \
	lib/relay \

# programs that run with the shim preloaded; never sanitized, as a sanitizer wants to be preloaded first itself
PROBES := \
	integration/probes/semantics \
	integration/probes/by_syscall \
	integration/probes/storm \
	integration/probes/dgrams \
	integration/probes/names \
	integration/probes/raw \
	integration/probes/starts \
	integration/probes/stages \

# scripts, run one after the other in this order; those that mostly wait, beside them (tests/lib/run_all.sh)
INTEGRATION_TESTS := \
	integration/shim.py \
	integration/rules.py \
	integration/shim_world.sh \
	integration/names.sh \
	integration/shim_stages.sh \
	integration/servers.sh \
	integration/dns_names.sh \
	integration/doctor_net.sh \
	integration/fail_closed.sh \
	integration/overlay_only.sh \
	integration/udp.sh \
	integration/static.sh \
	integration/i3run.sh \
	integration/udp_strangers.sh \
	integration/udp6.sh \
	integration/first_light.sh \
	integration/group.sh \
	integration/hash_names.sh \
	integration/stack.sh \
	integration/middlebox.sh \
	integration/middlebox_anycast.sh \
	integration/middlebox_gateway.sh \
	integration/middlebox_anonymous.sh \
	integration/middlebox_tun.sh \
	integration/middlebox_verdicts.sh \
	integration/cli.sh \
	integration/completions.sh \
	integration/config_files.py \
	integration/policy.sh \
	integration/anyone.sh \
	integration/anonymous.sh \
	integration/anonymous_wire.sh \
	integration/anonymous_gateway.sh \
	integration/json_schema.py \
	integration/observe.py \
	integration/refuse.sh \
	integration/share.sh \
	integration/portal.sh \
	integration/portal_net.sh \
	integration/rotate.sh \
	integration/kept_state.sh \
	integration/session.py \
	integration/disk_full.sh \
	integration/crash_100.sh \
	integration/rewrite.sh \
	integration/ipv6_node.sh \
	integration/ipv6_inside.sh \
	integration/transfer.sh \
	integration/two_rings.sh \
	integration/mesh.sh \
	integration/parallel.sh \
	integration/lossy.sh \
	integration/manuals.sh \
	integration/dead_peer.sh \
	integration/dos_drop.sh \
	integration/dos_handshakes.sh \
	integration/dos_programs.sh \
	integration/ring.sh \
	integration/ring_crash.sh \
	integration/nearest.sh \
	integration/workers.sh \
	integration/node_operator.py \
	integration/trigger_abuse.py \
	integration/flood.sh \
	integration/idle.sh \
	integration/cut.sh \
	integration/shortcut.sh \
	integration/mtu.sh \
	integration/install.sh \
	integration/nat.sh \
	integration/five_lines.sh \
	integration/gateway.sh \
	integration/gateway_crowd.sh \
	integration/gateway_nets.sh \
	integration/third_user.sh \
	integration/tcp_fallback.sh \
	integration/tcp_crowd.sh \
	integration/nat_kinds.sh \
	integration/nat_rebind.sh \
	integration/move.sh \
	integration/sleep.sh \
	integration/nat_idle.sh \
	integration/move6.sh \
	integration/portal_flood.sh \
	integration/gateway_hardships.sh \
	integration/anonymous_chain.sh \
	integration/bypass.sh \

INTEROP_TESTS := \
	interop/tcp_linux.sh \
	interop/curl.sh \
	interop/nginx.sh \
	interop/apache.sh \
	interop/python_http.sh \
	interop/ssh.sh \
	interop/five_lines_ssh.sh \
	interop/rsync.sh \
	interop/git.sh \
	interop/ftp.sh \
	interop/middlebox_ids.sh \
	interop/redis.sh \
	interop/postgres.sh \
	interop/deb.sh \
	interop/dns.sh \
	interop/resolvers.sh \
	interop/sipp.sh \
	interop/iperf3.sh \
	interop/socat.sh \
	interop/netcat.sh \
	interop/openssl.sh \
	interop/others.sh \
	interop/chromium.sh \
	interop/firefox.sh \
	interop/portal_browser.sh \
	interop/cpython.sh \
	interop/mallocs.sh \
	interop/storm.sh \
	interop/go.sh \
	interop/java.sh \
	interop/languages.sh \
	interop/node.sh \
	interop/python_async.sh \
	interop/wireshark.py \
	interop/box_taps.sh \
	interop/anonymous_web.sh \

# one libFuzzer target per decoder
FUZZ_TARGETS := \
	fuzz/tcpip \
	fuzz/datagram \
	fuzz/peer \
	fuzz/trigger \
	fuzz/group \
	fuzz/gateway \
	fuzz/ring \
	fuzz/wire \
	fuzz/mesh \
	fuzz/ipc \
	fuzz/book \
	fuzz/names \
	fuzz/middlebox \
	fuzz/invite \
	fuzz/config \
	fuzz/rules \
	fuzz/dns \
	fuzz/portal \
	fuzz/node \

FUZZ_SECONDS ?= 5

# what each links: rooms, and objects of its own
unit/shim/target_OBJ := shim/target.o
unit/base/crypto_ROOMS := base
unit/base/id_ROOMS := base
unit/base/journal_ROOMS := base
unit/base/lookout_ROOMS := base
unit/dns/stub_ROOMS := dns
unit/naming/book_ROOMS := naming base
unit/naming/groups_ROOMS := naming base
unit/naming/hashname_ROOMS := naming base
unit/naming/txtname_ROOMS := naming base
unit/policy/node_list_ROOMS := policy base
unit/policy/suffix_ROOMS := policy base
unit/naming/pool_ROOMS := naming base
unit/policy/config_ROOMS := policy base
unit/policy/rules_ROOMS := policy base
unit/policy/documents_ROOMS := policy base
unit/policy/access_ROOMS := policy base
unit/policy/drops_ROOMS := policy base
unit/policy/networks_ROOMS := policy base
unit/gateway/words_ROOMS := gateway policy base
unit/gateway/tables_ROOMS := gateway policy base
unit/i3/cookie_ROOMS := base i3
unit/i3/deadline_ROOMS := base i3
unit/i3/group_ROOMS := base i3
unit/i3/handshake_ROOMS := base i3
unit/i3/invite_ROOMS := base i3
unit/i3/rotation_ROOMS := base i3
unit/policy/shares_ROOMS := policy base
unit/i3/nodes_ROOMS := base i3
unit/i3/sampler_ROOMS := base i3
unit/i3/noise_ROOMS := base i3
unit/i3/path_ROOMS := base i3
unit/i3/peer_ROOMS := base i3
unit/i3/peer_OBJ := tests/sim/world.o
unit/i3/pmtu_ROOMS := base i3
unit/middlebox/route_ROOMS := middlebox i3 base
unit/middlebox/show_ROOMS := middlebox i3 base
unit/middlebox/verdict_ROOMS := middlebox i3 base
unit/middlebox/word_ROOMS := middlebox i3 base
unit/i3/proof_ROOMS := base i3
unit/i3/seal_ROOMS := base i3
unit/i3/seal_OBJ := daemon/io/accel.o
unit/i3/seal_LIBS := $(MB_LIBS)
unit/i3/trigger_ROOMS := base i3
unit/i3/transport_ROOMS := base i3
unit/i3/owners_ROOMS := base i3
unit/mesh/wire_ROOMS := base i3 mesh
unit/node/node_ROOMS := node i3 base
unit/node/limits_ROOMS := node i3 base
unit/node/ring_cache_ROOMS := node i3 base
unit/node/ring_wire_ROOMS := node i3 base
unit/node/store_ROOMS := node i3 base
unit/node/worker_ROOMS := node i3 base
unit/tcpip/ip_ROOMS := base tcpip
unit/tcpip/ip6_ROOMS := base tcpip
unit/tcpip/ip6_OBJ := tests/unit/tcpip/script.o
unit/tcpip/laws_ROOMS := base tcpip
unit/tcpip/behind_ROOMS := base tcpip
unit/tcpip/laws_OBJ := tests/unit/tcpip/script.o
unit/tcpip/parts_ROOMS := base tcpip
unit/tcpip/tcp_ROOMS := base tcpip
unit/tcpip/tcp_OBJ := tests/unit/tcpip/script.o
unit/program/vsock_ROOMS := program
unit/program/dgram_ROOMS := program
unit/tcpip/udp_ROOMS := base tcpip
unit/io/operator_OBJ := daemon/io/http.o daemon/io/log_format.o
unit/io/operator_LIBS := -luv -ljansson
unit/naming/mappings_ROOMS := naming base
unit/io/exe_OBJ := daemon/io/exe.o daemon/io/sandbox.o
unit/io/exe_LIBS := -lseccomp
unit/io/journal_file_ROOMS := base
unit/io/journal_file_OBJ := daemon/io/journal_file.o daemon/io/files.o
unit/io/sandbox_OBJ := daemon/io/sandbox.o
unit/io/sandbox_LIBS := -lseccomp
unit/control/pcapng_OBJ := daemon/control/pcapng.o
unit/tools/packet_OBJ := tools/i3ctl_packet.o
unit/io/mirror_OBJ := daemon/base/lookout.o
unit/io/stream_OBJ := daemon/base/lookout.o
unit/io/sockets_OBJ   := daemon/base/lookout.o
unit/io/mirror_ROOMS := io base
unit/io/sockets_ROOMS := io base
unit/io/stream_ROOMS := io base
sim/members_ROOMS := base i3
sim/members_OBJ := tests/sim/world.o
sim/sessions_ROOMS := base i3
sim/mesh_ROOMS := base i3 mesh
sim/mesh_OBJ := tests/sim/mesh_net.o
sim/sessions_OBJ := tests/sim/world.o
sim/shortcuts_ROOMS := base i3
sim/shortcuts_OBJ := tests/sim/world.o
sim/overlay_OBJ := tests/sim/overlay_world.o
sim/ring_hosts_ROOMS := base i3 node
sim/ring_hosts_OBJ := tests/sim/overlay_world.o
sim/ring_ROOMS := base i3 node
sim/ring_LIBS := -lm
sim/tcp_ROOMS := base tcpip
sim/tcp_OBJ := tests/sim/tcp_net.o
sim/tcp_goodput_ROOMS := base tcpip
sim/tcp_goodput_OBJ := tests/sim/tcp_net.o
sim/tcp_bars_ROOMS := base tcpip
sim/tcp_bars_OBJ := tests/sim/tcp_net.o
sim/cookies_ROOMS := base i3
sim/cookies_OBJ := tests/sim/world.o
sim/intruders_ROOMS := base i3
sim/intruders_OBJ := tests/sim/world.o
sim/overlay_ROOMS := base i3 node
bench/load_OBJ := tests/bench/cost.o tests/bench/many.o tests/bench/once.o tests/bench/udp.o
bench/node_ROOMS := node i3 base
bench/node_load_ROOMS := i3 base
bench/node_load_OBJ := tests/bench/node_hosts.o
fuzz/flood_ROOMS := i3 base
interop/tcp_tun_ROOMS := base tcpip
fuzz/tcpip_ROOMS := base tcpip
fuzz/datagram_ROOMS := base tcpip
fuzz/peer_ROOMS := base i3
fuzz/mesh_ROOMS := base i3 mesh
fuzz/trigger_ROOMS := base i3
fuzz/group_ROOMS := base i3 naming
fuzz/gateway_ROOMS := base gateway policy
fuzz/ring_ROOMS := base i3 node
fuzz/book_ROOMS := naming base
fuzz/names_ROOMS := naming base
fuzz/middlebox_ROOMS := middlebox i3 base
fuzz/invite_ROOMS := i3 policy base
fuzz/config_ROOMS := policy base
fuzz/rules_ROOMS := policy base
fuzz/dns_ROOMS := dns
fuzz/portal_ROOMS := gateway policy base
unit/gateway/dns_zone_ROOMS := gateway policy base
unit/gateway/from_ip_ROOMS := gateway policy base
unit/gateway/http_ROOMS := gateway policy base
fuzz/node_ROOMS := node i3 base

# ---- rules ---------------------------------------------------------------------------------------
objs     = $(patsubst %.c,$(B)/obj/%.o,$($(1)_SRC))
roomobjs = $(foreach r,$(1),$(call objs,$(r)))
roomlibs = $(foreach r,$(1),$($(r)_LIBS))

.PHONY: all check lint unit sim integration interop fuzz bench bench-gateway bench-restart demo deps install uninstall deb clean help
.DELETE_ON_ERROR:

all: deps
	$(Q)$(MAKE) --no-print-directory build

.PHONY: build
build: $(PROGRAMS:%=$(B)/bin/%) $(LIBRARY) $(MAN) $(B)/completions/made

# read off the programs' own help
$(B)/completions/made: tools/completions/generate.py $(PROGRAMS:%=$(B)/bin/%)
	$(if $(V),,@echo "  GEN   $(@D)")
	$(Q)python3 $< $(B)/bin $(@D) && touch $@

help:
	@echo "make [all] [SAN=1] [V=1]   build into build/ (SAN=1: build/san)"
	@echo "make demo                  a ring, two users, curl through the overlay"
	@echo "make check [SAN=1]         lint, unit, sim, fuzz and integration tests"
	@echo "make tsan                  a node's workers under the thread sanitizer"
	@echo "make interop               heavy programs against each other"
	@echo "make bench                 figures, as ratios to plain loopback"
	@echo "make bench-gateway         what a gateway and a middle-box cost over 20 ms"
	@echo "make deps                  install the Debian packages that are missing"
	@echo "make install PREFIX=DIR    default $(PREFIX); PREFIX=$$HOME/.local without root"
	@echo "make uninstall PREFIX=DIR  takes away what install has put there"
	@echo "make deb                   a package for Debian, in build/deb"

deps:
	$(Q)tools/deps.sh build

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "  CC    $<")
	$(Q)$(CC) $(ALL_CFLAGS) $(if $(filter shim/%,$<),-fPIC -fvisibility=hidden) -c $< -o $@

define program_rule
$(B)/bin/$(1): $(call objs,$(1)) $(call roomobjs,$($(1)_ROOMS))
	@mkdir -p $$(@D)
	$$(if $$(V),,@echo "  LD    $$@")
	$$(Q)$$(CC) $(SANFLAGS) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$^ $($(1)_LIBS)
endef
$(foreach p,i3d i3node i3run i3ctl,$(eval $(call program_rule,$(p))))

# The shim links libc and nothing else, and is never sanitized: it is loaded into programs which are not.
$(B)/lib/i3run/libi3shim.so: SANFLAGS :=
$(B)/lib/i3run/libi3shim.so: $(call objs,shim) shim/exports.map
	@mkdir -p $(@D)
	$(if $(V),,@echo "  LD    $@")
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,libnss_i3.so.2 -Wl,--version-script=shim/exports.map -Wl,-z,now -Wl,-Bsymbolic-functions -Wl,-z,defs \
		-o $@ $(filter %.o,$^) -ldl
$(call objs,shim): SANFLAGS :=

# the date at the foot of a page is that of its source, unless a packager gives one
build/man/%: tools/man/%.scd
	@mkdir -p $(@D)
	$(if $(V),,@echo "  MAN   $@")
	$(Q)sed 's/@VERSION@/$(VERSION)/' $< | SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(stat -c %Y $<)} scdoc >$@

define test_rule
$(B)/tests/$(1): $(B)/obj/tests/$(1).o $(call roomobjs,$($(1)_ROOMS)) $(if $(filter io,$($(1)_ROOMS)),,$(B)/obj/tests/lib/log_sink.o) $($(1)_OBJ:%=$(B)/obj/%)
	@mkdir -p $$(@D)
	$$(if $$(V),,@echo "  LD    $$@")
	$$(Q)$$(CC) $(SANFLAGS) $$(CFLAGS) -o $$@ $$(filter %.o,$$^) $(sort $(call roomlibs,$($(1)_ROOMS))) $($(1)_LIBS) $(2)
endef
$(foreach t,$(UNIT_TESTS) $(SIM_TESTS),$(eval $(call test_rule,$(t),-lcheck -lsubunit -lm -lrt -lpthread)))
$(foreach t,$(TEST_PROGRAMS),$(eval $(call test_rule,$(t),)))

$(PROBES:%=$(B)/tests/%): SANFLAGS :=
$(PROBES:%=$(B)/tests/%): $(B)/tests/%: $(B)/obj/tests/%.o
	@mkdir -p $(@D)
	$(if $(V),,@echo "  LD    $@")
	$(Q)$(CC) $(CFLAGS) -o $@ $< -lpthread

FB := build/fuzz
$(FB)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "  FUZZ  $<")
	$(Q)$(CLANG) -std=gnu11 -g -O1 -D_GNU_SOURCE -DI3_VERSION='"$(VERSION)"' -I. -MMD -MP -fno-strict-aliasing \
		-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -c $< -o $@

fuzzobjs = $(patsubst %.c,$(FB)/obj/%.o,$(foreach r,$(1),$($(r)_SRC)))
define fuzz_rule
$(FB)/bin/$(1): $(FB)/obj/tests/$(1).o $(call fuzzobjs,$($(1)_ROOMS)) $(FB)/obj/tests/lib/log_sink.o
	@mkdir -p $$(@D)
	$$(Q)$$(CLANG) -fsanitize=fuzzer,address,undefined -o $$@ $$^ $(sort $(call roomlibs,$($(1)_ROOMS)))
endef
$(foreach t,$(FUZZ_TARGETS),$(eval $(call fuzz_rule,$(t))))

# ---- tests ---------------------------------------------------------------------------------------
check:
	$(Q)tools/deps.sh build check
	$(Q)$(MAKE) --no-print-directory build lint unit sim fuzz integration
	@echo "make check: all passed"

lint: $(foreach r,$(PURE_ROOMS),$(call objs,$(r)))
	$(Q)tests/lint/layers.sh
	$(Q)tests/lint/listed.sh
	$(Q)$(if $(SAN),:,tests/lint/pure.sh $(call roomobjs,$(PURE_ROOMS)))

unit: $(UNIT_TESTS:%=$(B)/tests/%)
	$(Q)set -e; for t in $^; do $$t; done

sim: $(SIM_TESTS:%=$(B)/tests/%)
	$(Q)set -e; for t in $^; do $$t; done

fuzz: $(FUZZ_TARGETS:%=$(FB)/bin/%)
	$(Q)tests/fuzz/run.sh $(FUZZ_SECONDS) $^

integration: build $(TEST_PROGRAMS:%=$(B)/tests/%) $(PROBES:%=$(B)/tests/%)
	$(Q)B=$(abspath $(B)) tests/lib/run_all.sh $(INTEGRATION_TESTS:%=tests/%)

# Data races among the workers of a node; by hand. Its address space must not be random: gcc's runtime does not know 32 bits of that.
.PHONY: tsan
tsan: $(B)/tests/bench/node_load $(B)/bin/i3run $(B)/bin/i3d $(B)/bin/i3ctl
	$(Q)$(MAKE) --no-print-directory SAN=thread build/tsan/bin/i3node
	$(Q)ln -sf $(abspath $(B))/bin/i3run $(abspath $(B))/bin/i3d $(abspath $(B))/bin/i3ctl build/tsan/bin
	$(Q)B=$(abspath build/tsan) setarch -R tests/lib/run.sh tests/integration/workers.sh

interop: build $(TEST_PROGRAMS:%=$(B)/tests/%) $(PROBES:%=$(B)/tests/%)
	$(Q)tools/deps.sh interop
	$(Q)set -e; for t in $(INTEROP_TESTS); do B=$(abspath $(B)) tests/lib/run.sh tests/$$t; done

bench: build $(B)/tests/bench/node_load $(B)/tests/bench/load $(B)/tests/bench/path $(B)/tests/lib/relay
	$(Q)B=$(abspath $(B)) tests/bench/run.py $(ROWS)

# what a gateway and a middle-box cost over 20 ms
bench-gateway: build $(B)/tests/bench/load $(B)/tests/bench/path
	$(Q)B=$(abspath $(B)) tests/bench/gateway.py $(GATEWAY_OPTIONS)

# how long a daemon that is killed stays away, as others see it
bench-restart: build
	$(Q)B=$(abspath $(B)) tests/bench/restart.sh

demo: all
	$(Q)tools/demo.sh $(abspath $(B))

# what goes where: tools/install.sh
install: build
	$(Q)tools/install.sh install "$(B)" "$(PREFIX)" "$(DESTDIR)"

uninstall:
	$(Q)tools/install.sh uninstall "$(B)" "$(PREFIX)" "$(DESTDIR)"

# build/deb/i3run_VERSION_ARCH.deb; made by Debian's own tools, in a copy of the sources
deb:
	$(Q)tools/deb/make.sh "$(VERSION)"

clean:
	rm -rf build

-include $(shell find build -name '*.d' 2>/dev/null)

/* values.h - readers of single values, as the rows of schema.c name them. */
#ifndef I3_VALUES_H
#define I3_VALUES_H

#include "daemon/policy/schema.h"

config_set_fn value_addr, value_bool, value_choice, value_size, value_unsigned, value_network, value_suffix, value_rule_suffix, value_log,
    value_transport, value_resolve, value_node, value_overlay_node, value_kind, value_match, value_app, value_action, value_via, value_through,
    value_zone, value_dns_server, value_port, value_target, value_proto, value_allow, value_listen, value_ns, value_waypoint, value_ports, value_from,
    value_require, value_alerts, value_box_allow, value_box_next, value_box_addresses, value_tap, value_path, value_fail, value_allow_any, value_network_range, value_names;

/* A name of the book: labels of letters, digits, '-' and '_'; lower-cased. 0 or -EINVAL. */
int value_name(const char *s, char out[CONFIG_NAME_MAX + 1]);

#endif

#!/bin/sh
# root: builds network namespaces, and removes them; the programs run as nobody.
# integration/five_lines.sh with a real sshd behind one NAT and ssh behind the other.
FIVE_SSH=yes
. "$(dirname "$0")/../integration/five_lines.sh"

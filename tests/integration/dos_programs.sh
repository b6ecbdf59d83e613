#!/bin/sh
# What one program of the user's can take of the daemon: dos_programs.py
. "$(dirname "$0")/../lib/world.sh"
python3 "$(dirname "$0")/dos_programs.py" "$T/u"

#!/usr/bin/python3
"""junit_diff.py A B: cases whose results are not the same in two files of `python3 -m test --junit-xml`; status 1 if there are any.

Skipped cases count as well. What VSOCK tests do depends on the host.
"""
import collections, sys
import xml.etree.ElementTree as ET


def results(path):
    cases = {}
    for case in ET.parse(path).iter('testcase'):
        name = case.get('name')
        if 'VSOCK' in name.upper():
            continue
        what = next((e.tag for e in case if e.tag in ('failure', 'error', 'skipped')), case.get('result', 'completed'))
        cases[name] = what if cases.get(name, 'completed') == 'completed' else cases[name]
    return cases


a, b = map(results, sys.argv[1:3])
differing = [n for n in sorted(set(a) | set(b)) if a.get(n) != b.get(n)]
for name in differing:
    print('%s: %s, %s' % (name, a.get(name), b.get(name)))
print('%d cases, %s; %d differ' % (len(a), ', '.join('%d %s' % (n, k) for k, n in sorted(collections.Counter(a.values()).items())), len(differing)))
sys.exit(bool(differing) or not a)

#!/usr/bin/python3
"""junit_diff.py A B: prints the cases whose results are not the same in two sets of files of `python3 -m test --junit-xml`, the
files A*.xml and B*.xml; the count on standard error. Status 1 if there are any.

Of a case that was run several times there are several results: it differs when the two sets have none in common, so that a case which
is a matter of luck on either side does not. Skipped cases count as well. What VSOCK tests do depends on the host.
"""
import collections, glob, sys
import xml.etree.ElementTree as ET


def results(prefix):
    """case -> the set of its results, one of each file it is in"""
    cases = collections.defaultdict(set)
    for path in glob.glob(prefix + '*.xml'):
        one = {}
        for case in ET.parse(path).iter('testcase'):
            name = case.get('name')
            what = next((e.tag for e in case if e.tag in ('failure', 'error', 'skipped')), case.get('result', 'completed'))
            if 'VSOCK' not in name.upper() and one.get(name, 'completed') == 'completed':
                one[name] = what
        for name, what in one.items():
            cases[name].add(what)
    return cases


a, b = map(results, sys.argv[1:3])
differing = [n for n in sorted(set(a) | set(b)) if not a[n] & b[n]]
for name in differing:
    print(name)
    print('%s: %s, %s' % (name, ' '.join(a[name]) or 'not run', ' '.join(b[name]) or 'not run'), file=sys.stderr)
print('%d cases, %s; %d differ' % (len(a), ', '.join('%d %s' % (n, k) for k, n in sorted(collections.Counter(
    ' or '.join(sorted(v)) for v in a.values()).items())), len(differing)), file=sys.stderr)
sys.exit(bool(differing) or not a)

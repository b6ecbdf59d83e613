"""A strict reader of Prometheus' text format 0.0.4, and of what promtool would complain about besides."""
import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{([^}]*)\})? (\S+)\Z")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)"(?:,|\Z)')
UNITS = ("_seconds", "_bytes")


def parse(text):
    """{name: value}; an AssertionError for whatever is not as it should be."""
    assert text.endswith("\n"), "the last line has no end"
    values, kinds, helps = {}, {}, {}
    current = None
    for number, line in enumerate(text[:-1].split("\n"), 1):
        where = "line %d: %r" % (number, line)
        if line.startswith("# HELP "):
            name, help_text = line[7:].split(" ", 1)
            assert NAME.match(name) and help_text.strip() == help_text and help_text, where
            assert name not in helps, "second HELP: " + where
            helps[name] = help_text
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert kind in ("counter", "gauge"), where
            assert name in helps and name not in kinds, where
            kinds[name] = kind
            current = name
        else:
            m = SAMPLE.match(line)
            assert m, where
            name, labels, value = m.groups()
            assert name == current, "not below its TYPE: " + where
            if labels is not None:
                at = 0
                while at < len(labels):
                    one = LABEL.match(labels, at)
                    assert one, where
                    at = one.end()
            key = name if labels is None else "%s{%s}" % (name, labels)
            assert key not in values, "twice: " + where
            values[key] = float(value)
            assert values[key] == values[key] and values[key] >= 0, where
    for name, kind in kinds.items():
        assert any(k.split("{")[0] == name for k in values), name + " has no sample"
        assert name.endswith("_total") == (kind == "counter"), name + ": counters, and they alone, end in _total"
        for unit in ("_ms", "_us", "_kb", "_milliseconds", "_kilobytes", "_percent"):
            assert not name.endswith(unit) and unit + "_" not in name, name + ": not a base unit"
    return values

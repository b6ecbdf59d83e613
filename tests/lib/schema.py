"""A validator for what tools/schema uses of JSON Schema 2020-12, and stricter: a member that the schema does not name is an error, since
it is not documented. check_schema() finds what a schema says in words that this does not know."""
import json
import os
import re

WORDS = {"$schema", "$id", "$comment", "$defs", "$ref", "title", "description", "type", "enum", "const", "pattern", "minimum", "maximum",
         "required", "properties", "additionalProperties", "items", "oneOf", "anyOf"}
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "integer": int, "number": (int, float)}


class Invalid(Exception):
    pass


class Schemas:
    def __init__(self, folder):
        self.folder, self.files = folder, {}
        for name in sorted(os.listdir(folder)):
            if name.endswith(".json"):
                with open(os.path.join(folder, name)) as f:
                    self.files[name] = json.load(f)

    def resolve(self, ref, home):
        name, _, path = ref.partition("#")
        at = self.files[name or home]
        for part in path.strip("/").split("/"):
            at = at[part] if part else at
        return at, name or home

    def check_schema(self, s, home, where=""):
        """The schema itself is one, and complete: every member is described, every word known."""
        assert isinstance(s, dict), where
        assert set(s) <= WORDS, "%s: unknown words %s" % (where, set(s) - WORDS)
        if "$ref" in s:
            self.resolve(s["$ref"], home)
        for t in [s["type"]] if isinstance(s.get("type"), str) else s.get("type", []):
            assert t in TYPES, where
        assert set(s.get("required", [])) <= set(s.get("properties", {})), where + ": required, but no property"
        re.compile(s.get("pattern", ""))
        for key, sub in list(s.get("properties", {}).items()) + list(s.get("$defs", {}).items()):
            self.check_schema(sub, home, where + "/" + key)
        for key in "items", "additionalProperties":
            if key in s:
                self.check_schema(s[key], home, where + "/" + key)
        for key in "oneOf", "anyOf":
            for i, sub in enumerate(s.get(key, [])):
                self.check_schema(sub, home, "%s/%s%d" % (where, key, i))

    def validate(self, v, name):
        self._check(v, self.files[name], name, "")

    def _check(self, v, s, home, where):
        def wrong(why):
            raise Invalid("%s: %s: %.200s" % (where or "/", why, json.dumps(v)))

        if "$ref" in s:
            sub, its = self.resolve(s["$ref"], home)
            self._check(v, sub, its, where)
        if "type" in s:
            types = [s["type"]] if isinstance(s["type"], str) else s["type"]
            good = any(isinstance(v, TYPES[t]) and (not isinstance(v, bool) or t == "boolean") for t in types)
            if not good:
                wrong("not of type %s" % "|".join(types))
        if "enum" in s and v not in s["enum"]:
            wrong("none of %s" % s["enum"])
        if "const" in s and v != s["const"]:
            wrong("not %r" % s["const"])
        if isinstance(v, str) and "pattern" in s and not re.search(s["pattern"], v):
            wrong("not like %s" % s["pattern"])
        if isinstance(v, (int, float)) and not isinstance(v, bool):
            if v < s.get("minimum", v) or v > s.get("maximum", v):
                wrong("out of range")
        if isinstance(v, list) and "items" in s:
            for i, x in enumerate(v):
                self._check(x, s["items"], home, "%s/%d" % (where, i))
        if isinstance(v, dict) and ("properties" in s or "additionalProperties" in s):
            for key in s.get("required", []):
                if key not in v:
                    wrong("lacks " + key)
            for key, x in v.items():
                sub = s.get("properties", {}).get(key, s.get("additionalProperties"))
                if sub is None:
                    raise Invalid("%s/%s: not in the schema" % (where, key))
                self._check(x, sub, home, where + "/" + key)
        for key in "oneOf", "anyOf":
            if key not in s:
                continue
            fits, why = 0, []
            for sub in s[key]:
                try:
                    self._check(v, sub, home, where)
                    fits += 1
                except Invalid as e:
                    why.append(str(e))
            if not fits or (key == "oneOf" and fits > 1):
                wrong("fits %d of %s: %s" % (fits, key, "; ".join(why)))

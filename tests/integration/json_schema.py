#!/usr/bin/python3
"""i3ctl VERB --json of every verb, in real states, against tools/schema: members that are not documented, schemas and manual entries that
are missing, and errors that are no JSON fail."""
import json
import os
import re
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import ctl  # noqa: E402
from ctl import T, TOP, User, World, step, wait_for  # noqa: E402
from schema import Invalid, Schemas  # noqa: E402

schemas = Schemas(os.path.join(TOP, "tools", "schema"))
answered = {}  # verb: how many of its answers, not errors, were looked at


def documents(text):
    """The JSON texts one after another."""
    docs, at = [], 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        doc, at = json.JSONDecoder().raw_decode(text, at)
        docs.append(doc)
    return docs


def look(verb, r):
    """What a run of that verb has printed; its last document."""
    name = verb.replace(" ", "-") + ".json"
    assert r.err == "", "something on stderr: %s" % r
    try:
        docs = documents(r.out)
    except ValueError as e:
        raise AssertionError("%s: %s" % (e, r))
    assert docs or not r.status, "nothing was said: %s" % r
    if schemas.files[name].get("$comment") == "one object a line":
        assert len(docs) == r.out.count("\n"), "not one a line: %s" % r
    for i, doc in enumerate(docs):
        error = r.status and i == len(docs) - 1 and "error" in doc and "exit" in doc
        try:
            schemas.validate(doc, "error.json" if error else name)
        except Invalid as e:
            raise AssertionError("%s\n%s" % (e, r))
        if error:
            assert doc["exit"] == r.status, r
            assert (r.status == 2) == ("usage" in doc) or "usage" not in doc, r
        else:
            answered[verb] = answered.get(verb, 0) + 1
    return docs[-1] if docs else None


def ask(user, verb, *args, status=0, **more):
    return look(verb, user.ctl(*verb.split(), *args, "--json", status=status, **more))


def every_verb_is_documented(verbs):
    manual = open(os.path.join(TOP, "tools", "man", "i3ctl.1.scd")).read()
    for v in verbs:
        assert v.replace(" ", "-") + ".json" in schemas.files, "no schema of i3ctl %s: tools/schema/%s.json" % (v, v.replace(" ", "-"))
        assert re.search(r"^\*%s\*" % re.escape(v), manual, re.M), "i3ctl(1) has no entry of its own for %s" % v
    known = {v.replace(" ", "-") for v in verbs} | {"common", "error"}
    for name in schemas.files:
        assert name[:-5] in known, "a schema of no verb: " + name
        schemas.check_schema(schemas.files[name], name, name)


def every_option_is_documented(verbs, synopsis):
    manual = open(os.path.join(TOP, "tools", "man", "i3ctl.1.scd")).read().replace("\\", "")
    for v in verbs:
        for option in set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", synopsis[v])) - {"--json"}:
            assert option in manual, "i3ctl(1) does not have %s of %s" % (option, v)


def every_exit_status_is_documented():
    header = open(os.path.join(TOP, "tools", "i3ctl.h")).read()
    codes = dict(re.findall(r"^    (CTL_[A-Z_]+) = (\d+),", header[header.index("enum ctl_exit"):header.index("CTL_ERR_LEN")], re.M))
    assert len(codes) >= 5, codes
    manual = open(os.path.join(TOP, "tools", "man", "i3ctl.1.scd")).read()
    table = manual[manual.index("# EXIT STATUS"):manual.index("# EXAMPLES")]
    assert sorted(re.findall(r"^\*(\d+)\*$", table, re.M)) == sorted(codes.values()), codes


def wrong_calls(u, verbs):
    """Whatever the verb: an option that does not exist, and more words than any takes."""
    for v in verbs:
        look(v, u.ctl(*v.split(), "--frobnicate", "--json", status=2))
        look(v, u.ctl(*v.split(), *["x"] * 40, "--json", status=2))
    for words in (), ("--frob",), ("sttaus",), ("book",), ("book", "frob"), ("frob", "x"):
        r = u.ctl(*words, "--json", status=2)
        schemas.validate(json.loads(r.out), "error.json")
        assert r.err == "", r
    look("help", u.ctl("--json", "--help"))
    ask(u, "help")
    ask(u, "help", "book")
    ask(u, "help", "ping")
    ask(u, "help", "frob", status=2)
    ask(u, "version")


def nothing_runs(u):
    for v in "status", "stop", "metrics", "ring":
        ask(u, v, status=3)
    ask(u, "trace", status=3)
    ask(u, "log", status=1)
    doc = ask(u, "doctor", status=3)
    assert doc["failed"] >= 1 and any(c["check"] == "daemon" and c["result"] == "fail" for c in doc["checks"]), doc
    ask(u, "ring", "--node", "1", status=3)
    ask(u, "metrics", "--node", "1", status=3)


def refused_config(u):
    u.config('mtu = "many"\n')
    for v in ("id",), ("ping", "x"), ("start",), ("doctor",):
        ask(u, *v, status=78)
    u.config("")


def fresh_daemon(u):
    assert ask(u, "start")["started"] is True
    assert ask(u, "start")["started"] is False
    ask(u, "init")
    ask(u, "id")
    s = ask(u, "status")
    assert s["peers"] == [] and s["nodes"] == [], s
    assert any(w["code"] == "no_node" for w in s["warnings"]), s
    ask(u, "book ls")
    ask(u, "group list")
    ask(u, "ring")
    ask(u, "doctor", status=None)
    ask(u, "metrics")
    ask(u, "log")
    ask(u, "log", "-n", "3")


def book_and_groups(alice, bob):
    key = ask(bob, "id")["key"]
    ask(alice, "book add", "carol", key)
    ask(alice, "book add", "carol", alice.json("id")["key"], status=4)
    ask(alice, "book add", "far", ask(alice, "group new", "g1", "--near", "eu/berlin")["key"], status=None)
    ask(alice, "group new", "g2", "--multicast")
    ask(alice, "group new", "g2", status=1)
    secret = ask(alice, "group export", "g1")["secret"]
    path = os.path.join(T, "secret")
    with open(path, "w") as f:
        f.write(secret + "\n")
    ask(bob, "group join", "g1", path)
    ask(bob, "group join", "g9", "/nowhere", status=1)
    ask(bob, "group list")
    ask(alice, "book ls")
    ask(alice, "book list")
    ask(alice, "book claim", "alice-of-the-test")
    ask(alice, "book ls")
    ask(alice, "book unclaim", "alice-of-the-test")
    ask(alice, "book unclaim", "alice-of-the-test", status=None)
    ask(alice, "book rm", "carol")
    ask(alice, "book rm", "carol", status=1)
    ask(alice, "group leave", "g2")
    ask(alice, "group leave", "g2", status=1)


def connected(alice, bob, world):
    server = bob.popen("i3run", sys.executable, os.path.join(TOP, "tests/lib/web.py"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    ctl.children.append(server)
    port = server.stdout.readline().split()[1].decode()
    trace = alice.popen("i3ctl", "trace", "-c", "6", "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    file = os.path.join(T, "x.pcapng")
    written = alice.popen("i3ctl", "trace", "-w", file, "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    ctl.children.extend((trace, written))
    wait_for(lambda: os.path.exists(file) and os.path.getsize(file))
    client = alice.run("i3run", "curl", "-s", "--max-time", "20", "http://bob.i3:%s/" % port)
    assert client.status == 0, client
    ask(alice, "ping", "bob", "2")
    for verb, p in (("trace", trace), ("trace", written)):
        if p is written:
            p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=30)
        done = look(verb, ctl.Result(["trace"], subprocess.CompletedProcess([], p.returncode, out, err)))
        assert done["packets"] > 0, out
    ask(alice, "trace", "-w", file, status=1)
    ask(alice, "trace", "-c", "none", status=2)
    s = ask(alice, "status")
    assert s["online"] and s["peers"][0]["name"] == "bob.i3", s
    assert ask(bob, "status")["listeners"], "no listener"
    ask(alice, "ping", "nobody-there", status=1)
    ask(alice, "ping", "bob", "many", status=2)
    ask(alice, "ring")
    node = os.path.join(world.dir, "ring", "node.sock")
    assert ask(alice, "ring", "--node", node)["kind"] == "node"
    ask(alice, "ring", s["id"], "--node", node)
    ask(alice, "metrics", "--node", node)
    ask(alice, "metrics")
    assert ask(alice, "doctor", status=None)["failed"] == 0
    ask(alice, "log")


def sharing(alice, bob, fresh):
    assert ask(alice, "share")["shares"] == []
    ask(alice, "share", "seven", status=2)
    ask(alice, "share", "2222", "--for", "never", status=2)
    ask(alice, "share", "2222", "--to", "bob")
    ask(alice, "share", "3333", "--cancel", status=None)
    ask(bob, "join", "no-code", status=5)
    code = ask(alice, "share", "3333", "--name", "visitor")["code"]
    assert ask(alice, "share")["invitations"], "no invitation is listed"
    fresh.config("nodes = { \"%s\" }\n" % ask(alice, "status")["node"]["address"])
    ask(fresh, "stop")
    ask(fresh, "join", code, "alice")
    ask(bob, "join", code, status=5)
    assert len(ask(alice, "peers")["peers"]) >= 2
    ask(alice, "share")
    ask(alice, "share", "4444")
    ask(alice, "share", "4444", "--cancel")
    ask(alice, "unshare", "3333")
    ask(alice, "unshare", "3333", status=1)
    ask(alice, "unshare", "bob")
    assert ask(alice, "drop")["dropped"] == []
    ask(alice, "drop", "visitor", "7d", status=None)
    ask(alice, "drop", "nobody", status=1)
    ask(alice, "drop", "bob")
    assert ask(alice, "drop")["dropped"]
    ask(alice, "box")
    ask(alice, "alerts")
    ask(alice, "status")
    ask(alice, "undrop", "bob")
    ask(alice, "anonymous")
    if alice.run("i3run", "--anonymous", "true").status == 0:
        assert ask(alice, "anonymous")["anonymous"], "nobody is anonymous"
    ask(alice, "rotate", "--for", "1h")
    ask(alice, "peers")


def nodes(alice, fresh):
    port = ask(alice, "status")["node"]["address"]
    ask(alice, "nodes")
    ask(alice, "nodes add", "203.0.113.1", status=1)
    fresh.config("")
    fresh.ctl("stop", status=None)
    ask(fresh, "nodes list")
    ask(fresh, "nodes add", port)
    ask(fresh, "nodes add", "not an address", status=1)
    ask(fresh, "status")
    ask(fresh, "nodes rm", port)
    ask(fresh, "nodes rm", port, status=1)
    ask(fresh, "nodes list", "--overlay", "work", status=1)


def mesh(alice, fresh):
    ask(alice, "mesh", status=1)
    fresh.config('overlay lab { kind = "mesh"  suffix = ".lab"  bind = "127.0.0.1:0" }\n')
    fresh.ctl("stop", status=None)
    ask(fresh, "mesh")
    ask(fresh, "book add", "bob.lab", ask(alice, "id")["key"], "--at", "127.0.0.1:9,[::1]:9")
    ask(fresh, "book ls")
    member = ask(fresh, "mesh", "lab")["meshes"][0]["members"][0]
    assert member["path"] == "none" and len(member["addresses"]) == 2, member
    ask(fresh, "mesh", "work", status=1)
    ask(fresh, "nodes list")
    ask(fresh, "status")
    ask(fresh, "why", "bob.lab:80")
    ask(fresh, "doctor", status=None)
    fresh.config("")
    fresh.ctl("stop", status=None)


def policy(alice, verbs):
    if "why" not in verbs or "reload" not in verbs:
        return
    for name in "bob.i3:80", "nobody.i3", "example.org", "alice.i3", "192.0.2.1":
        ask(alice, "why", name, status=None)
    ask(alice, "reload")
    ask(alice, "gateway")
    path = os.path.join(alice.env["XDG_CONFIG_HOME"], "i3/i3.conf")
    with open(path) as f:
        was = f.read()
    for more in ("rule { suffix = \".nowhere\" action = \"deny\" }\n", "mtu = \"many\"\n"):
        with open(path, "w") as f:
            f.write(was + more)
        ask(alice, "reload", status=78 if "mtu" in more else 0)
        ask(alice, "why", "x.nowhere", status=None)
    assert any(w["code"] == "config_refused" for w in ask(alice, "status")["warnings"]), "status does not tell"
    ask(alice, "doctor", status=None)
    with open(path, "w") as f:
        f.write(was + 'rule { suffix = ".gw" action = "gateway" via = "bob" strip = yes }\ngateway { allow = { "bob" } networks = { "10.20.0.0/16:80", "::/0" } names = { ".intra" } }\n')
    ask(alice, "reload")
    ask(alice, "gateway")
    assert ask(alice, "why", "x.gw", status=None)["decision"] == "gateway"
    alice.run("i3run", "getent", "ahosts", "x.gw", timeout=30)
    assert ask(alice, "gateway")["names_total"] == 1
    ask(alice, "why", "x.gw", status=None)
    with open(path, "w") as f:
        f.write(was)
    ask(alice, "reload")


def portal(alice, verbs):
    if "portal" not in verbs:
        return
    ask(alice, "portal", status=1)
    path = os.path.join(alice.env["XDG_CONFIG_HOME"], "i3/i3.conf")
    with open(path) as f:
        was = f.read()
    with open(path, "w") as f:
        f.write(was + """portal { zone = "z.test" dns = { "127.0.0.1:0" } http = { "127.0.0.1:0", "192.0.2.1:80" } tls = { "127.0.0.1:0" }
waypoints = { "127.0.3.1" } ports = { 2222 } }
publish bob { to = "bob.i3" ports = { 80, 2222 } from = { "10.0.0.0/8" } }
""")
    ask(alice, "reload")
    doc = ask(alice, "portal")
    assert doc["names"] and doc["waypoints"] and any(l["errno"] for l in doc["listeners"]), doc
    with open(path, "w") as f:
        f.write(was)
    ask(alice, "reload")


def body():
    u = User("fresh")
    table = json.loads(u.ctl("help", "--json").out)["verbs"]
    verbs = [v["name"] for v in table]
    step("every verb has a schema, and stands in the manual")
    every_verb_is_documented(verbs)
    every_option_is_documented(verbs, {v["name"]: v["synopsis"] for v in table})
    every_exit_status_is_documented()
    step("wrong calls")
    wrong_calls(u, verbs)
    step("nothing runs")
    nothing_runs(u)
    assert not os.path.exists(u.env["XDG_RUNTIME_DIR"] + "/i3/i3d.sock"), "a daemon was started"
    step("a configuration that is refused")
    refused_config(u)
    step("a daemon that knows nobody")
    fresh_daemon(u)
    step("two users")
    world = World()
    ctl.worlds.append(world)
    ask(u, "demo status", world.dir)
    ask(u, "demo up", world.dir, status=1)
    ask(u, "demo status", "/nowhere", status=1)
    book_and_groups(world.alice, world.bob)
    connected(world.alice, world.bob, world)
    policy(world.alice, verbs)
    portal(world.alice, verbs)
    sharing(world.alice, world.bob, u)
    mesh(world.alice, u)
    nodes(world.alice, u)
    step("the end")
    ask(u, "stop")
    ask(u, "stop", status=3)
    ask(world.bob, "stop")
    ask(u, "demo status", world.dir, status=3)
    ask(u, "demo down", world.dir)
    world.made = False
    ask(u, "demo up", world.dir)
    ask(u, "demo down", world.dir)
    never = [v for v in verbs if not answered.get(v)]
    assert not never, "verbs whose answer nothing here has looked at: %s" % ", ".join(never)
    print("%d answers of %d verbs" % (sum(answered.values()), len(answered)))


ctl.main(body)

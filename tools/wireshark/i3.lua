-- i3.lua - Wireshark's view of i3 packets as they are on the network: every kind of include/wire.h, and the head of ring messages
-- (daemon/node/ring_wire.h). UDP, and frames over TCP, on port 5610; any other port by "Decode As", or
--     tshark -X lua_script:i3.lua -d udp.port==6000,i3 ...
-- What is sealed stays sealed: for the packets inside see `i3ctl trace`.
local i3 = Proto("i3", "Internet Indirection Infrastructure")

local kinds = {"DATA", "INSERT", "CHALLENGE", "PROVE", "ACK", "REFRESH", "NOT_PRESENT", "PING", "PONG", "REFUSED", "RING", "LOOKUP",
    "OWNER", "BATCH"}
local protos = {"handshake init", "handshake response", "sealed", "plain", "group", [8] = "join", [9] = "joined", [10] = "cookie"}
local reasons = {"unknown trigger", "stale cookie", "wrong proof", "store full", "policy", "too fast"}
local ring_types = {"ASK", "STATE", "FIND", "TAKEN", "FOUND", "LEAVE", "TRIGGERS"}

local f = {
    version = ProtoField.uint8("i3.version", "Version", base.DEC, nil, 0xf0),
    kind = ProtoField.uint8("i3.kind", "Kind", base.DEC, kinds, 0x0f),
    flags = ProtoField.uint8("i3.flags", "Flags", base.HEX),
    hops = ProtoField.uint8("i3.hops", "Hops left", base.DEC),
    ids = ProtoField.uint8("i3.ids", "Ids", base.DEC),
    proto = ProtoField.uint8("i3.proto", "Payload is", base.DEC, protos),
    id = ProtoField.bytes("i3.id", "Id"),
    target = ProtoField.bytes("i3.target", "Target id"),
    payload = ProtoField.bytes("i3.payload", "Payload"),
    counter = ProtoField.uint64("i3.counter", "Counter", base.DEC),
    plen = ProtoField.uint16("i3.plen", "Bits that must match", base.DEC),
    nonce = ProtoField.bytes("i3.nonce", "Nonce"),
    epoch = ProtoField.uint8("i3.epoch", "Epoch", base.DEC),
    cookie = ProtoField.bytes("i3.cookie", "Cookie"),
    node_key = ProtoField.bytes("i3.node_key", "Node's key"),
    key = ProtoField.bytes("i3.key", "Key of the id"),
    seq = ProtoField.uint64("i3.seq", "Sequence", base.HEX),
    mac = ProtoField.bytes("i3.mac", "MAC"),
    seconds = ProtoField.uint16("i3.seconds", "Seconds", base.DEC),
    addr4 = ProtoField.ipv4("i3.addr", "Address"),
    addr6 = ProtoField.ipv6("i3.addr6", "Address"),
    port = ProtoField.uint16("i3.port", "Port", base.DEC),
    echo = ProtoField.bytes("i3.echo", "Echo of the payload"),
    reason = ProtoField.uint8("i3.reason", "Reason", base.DEC, reasons),
    prefix = ProtoField.bytes("i3.prefix", "Prefix"),
    count = ProtoField.uint8("i3.batch.count", "Packets", base.DEC),
    ring_type = ProtoField.uint8("i3.ring.type", "Ring message", base.DEC, ring_types),
    ring_to = ProtoField.bytes("i3.ring.to", "To the position"),
    ring_body = ProtoField.bytes("i3.ring.body", "Body"),
    frame = ProtoField.uint16("i3.frame", "Length of the frame", base.DEC),
}
i3.fields = f
local malformed = ProtoExpert.new("i3.malformed", "Not as include/wire.h draws it", expert.group.MALFORMED, expert.severity.ERROR)
i3.experts = {malformed}

-- A cursor over a packet that remembers failure, as include/bytes.h has it.
local Cursor = {}
Cursor.__index = Cursor

local function cursor(buf, tree) return setmetatable({buf = buf, tree = tree, at = 0, ok = true}, Cursor) end

function Cursor:left() return self.buf:len() - self.at end

function Cursor:span(n)
    if not self.ok or n < 0 or self:left() < n then
        self.ok = false
        return nil
    end
    local range = n > 0 and self.buf(self.at, n) or nil
    self.at = self.at + n
    return range
end

function Cursor:add(field, n)
    local range = self:span(n)
    if range then self.tree:add(field, range) end
    return range
end

function Cursor:number(field, n)
    local range = self:add(field, n)
    return range and range:uint() or 0
end

function Cursor:zeros(n)
    local range = self:span(n)
    for i = 0, n - 1 do
        if range and range(i, 1):uint() ~= 0 then self.ok = false end
    end
end

function Cursor:plen()
    local range = self:span(1)
    if range then self.tree:add(f.plen, range, range:uint() + 128) end
end

function Cursor:address()
    local range = self:span(20)
    if not range then return end
    local family = range(0, 1):uint()
    if family == 4 then
        self.tree:add(f.addr4, range(4, 4))
    elseif family == 6 then
        self.tree:add(f.addr6, range(4, 16))
    elseif family ~= 0 then
        self.ok = false
    end
    self.tree:add(f.port, range(2, 2))
end

local dissect

local function insert_body(c)
    c:number(f.flags, 1)
    c:plen()
    local n = c:number(f.ids, 1)
    if n > 15 then c.ok = false end
    c:add(f.id, 32)
    c:add(f.nonce, 8)
    for _ = 1, c.ok and n or 0 do c:add(f.target, 32) end
end

local kind = {}

function kind.DATA(c)
    c:number(f.flags, 1)
    c:number(f.hops, 1)
    local n = c:number(f.ids, 1)
    local proto = c:number(f.proto, 1)
    if n < 1 or n > 15 then c.ok = false end
    for _ = 1, c.ok and n or 0 do c:add(f.id, 32) end
    if (proto == 3 or proto == 4) and c:left() >= 8 then c:add(f.counter, 8) end
    c:add(f.payload, c:left())
    return protos[proto] or "payload " .. proto
end

function kind.INSERT(c)
    insert_body(c)
    if c.buf:len() < 80 then c.ok = false end
    c:zeros(c:left())
end

function kind.CHALLENGE(c)
    c:number(f.epoch, 1)
    c:zeros(2)
    c:add(f.nonce, 8)
    c:add(f.cookie, 16)
    c:add(f.node_key, 32)
    c:address()
end

function kind.PROVE(c)
    insert_body(c)
    c:number(f.epoch, 1)
    c:zeros(3)
    c:add(f.cookie, 16)
    c:add(f.key, 32)
    c:add(f.seq, 8)
    c:add(f.mac, 16)
end

function kind.ACK(c)
    c:zeros(1)
    local seconds = c:number(f.seconds, 2)
    c:add(f.seq, 8)
    c:address()
    c:add(f.mac, 16)
    return "for " .. seconds .. " s"
end

function kind.REFRESH(c)
    local flags = c:number(f.flags, 1)
    c:plen()
    c:zeros(1)
    c:add(f.id, 32)
    c:add(f.seq, 8)
    c:add(f.mac, 16)
    return flags == 1 and "remove" or nil
end

function kind.NOT_PRESENT(c)
    c:zeros(2)
    local n = c:span(1)
    n = n and n:uint() or 0
    c:add(f.id, 32)
    if n > 16 then c.ok = false end
    c:add(f.echo, n)
end

function kind.PING(c)
    c:zeros(3)
    c:add(f.nonce, 8)
end

kind.PONG = kind.PING

function kind.REFUSED(c)
    local reason = c:number(f.reason, 1)
    c:zeros(2)
    c:add(f.seq, 8)
    return reasons[reason]
end

function kind.RING(c)
    local type = c:number(f.ring_type, 1)
    c:number(f.hops, 1)
    c:number(f.flags, 1)
    c:add(f.nonce, 8)
    c:add(f.ring_to, 16)
    c:address()
    c:add(f.key, 32)
    c:add(f.ring_body, c:left() - 16)
    c:add(f.mac, 16)
    return ring_types[type]
end

function kind.LOOKUP(c)
    c:zeros(3)
    c:add(f.nonce, 8)
    c:add(f.prefix, 16)
    c:zeros(20)
end

function kind.OWNER(c)
    c:number(f.flags, 1)
    c:number(f.seconds, 2)
    c:add(f.nonce, 8)
    c:add(f.prefix, 16)
    c:address()
end

function kind.BATCH(c)
    local n = c:number(f.count, 1)
    c:zeros(2)
    for _ = 1, n do
        local len = c:span(2)
        local packet = len and c:span(len:uint())
        if not packet then
            c.ok = false
            break
        end
        dissect(packet:tvb(), c.tree)
    end
    return n .. " packets"
end

-- One packet; what stands in the info column.
dissect = function(buf, root)
    local tree = root:add(i3, buf())
    local c = cursor(buf, tree)
    local first = c:span(1)
    local name = first and kinds[first:uint() % 16]
    if not first or math.floor(first:uint() / 16) ~= 1 or not name then
        tree:add_proto_expert_info(malformed)
        return "of another version or kind"
    end
    tree:add(f.version, first)
    tree:add(f.kind, first)
    tree:append_text(", " .. name)
    local more = kind[name](c)
    if not c.ok or c:left() > 0 then
        tree:add_proto_expert_info(malformed)
        return name .. " [malformed]"
    end
    return more and name .. " " .. more or name
end

function i3.dissector(buf, pinfo, root)
    if buf:len() == 0 then return 0 end
    pinfo.cols.protocol = "i3"
    if pinfo.port_type == 2 then -- TCP: frames, each with its length before it
        dissect_tcp_pdus(buf, root, 2, function(b) return b(0, 2):uint() + 2 end, function(b, _, tree)
            tree:add(f.frame, b(0, 2))
            pinfo.cols.info = dissect(b(2):tvb(), tree)
            return b:len()
        end)
        return buf:len()
    end
    pinfo.cols.info = dissect(buf, root)
    return buf:len()
end

DissectorTable.get("udp.port"):add(5610, i3)
DissectorTable.get("tcp.port"):add(5610, i3)

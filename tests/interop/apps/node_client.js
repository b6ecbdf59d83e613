// What Node's own clients are asked to do with bob's servers; each line of output is one that did not.
//    node_client.js HOST HTTP HTTP2 NET DGRAM WORKER ME CLUSTER CLUSTER-NONE
'use strict'
const http = require('http'), http2 = require('http2'), net = require('net'), dgram = require('dgram'), dns = require('dns')
const { Worker, isMainThread, workerData } = require('worker_threads')
const assert = require('assert'), { once } = require('events')

const [host, web, two, lines, packets, worker, me, spread, shared] = process.argv.slice(2)

function get(agent, port, path, body) {
    return new Promise((ok, no) => {
        const q = http.request({ host, port, path, agent, method: body ? 'POST' : 'GET' }, a => {
            const parts = []
            a.on('data', d => parts.push(d)).on('end', () => ok({ text: Buffer.concat(parts).toString(), socket: q.reusedSocket }))
        })
        q.on('error', no).end(body)
    })
}

const tests = {
    async names() {
        const all = await dns.promises.lookup(host, { all: true })
        const [v4, v6] = [4, 6].map(f => all.find(a => a.family === f).address)
        assert.match(v4, /^10\./)
        assert.match(v6, /^fd69:33/)
        assert.deepStrictEqual(await dns.promises.lookupService(v4, 80), { hostname: host, service: 'http' })
        await assert.rejects(dns.promises.lookup('nobody-knows.i3'), { code: 'ENOTFOUND' })
    },
    async names_by_its_own_resolver() { // c-ares, towards port 53
        const [v4, v6] = [await dns.promises.resolve4(host), await dns.promises.resolve6(host)]
        assert.deepStrictEqual([v4[0], v6[0]], await Promise.all([4, 6].map(async f => (await dns.promises.lookup(host, f)).address)))
        assert.deepStrictEqual(await dns.promises.reverse(v4[0]), [host])
        await assert.rejects(dns.promises.resolve4('nobody-knows.i3'), { code: 'ENOTFOUND' })
    },
    async keep_alive() {
        const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
        for (let i = 0; i < 50; i++) {
            const got = await get(agent, web, '/' + i)
            assert.strictEqual(got.text, '/' + i)
            assert.strictEqual(got.socket, i > 0)
        }
        agent.destroy()
    },
    async two_hundred() {
        const got = await Promise.all([...Array(200).keys()].map(i => get(false, web, '/' + i)))
        got.forEach((g, i) => assert.strictEqual(g.text, '/' + i))
    },
    async post() { assert.strictEqual((await get(false, web, '/', Buffer.alloc(5e6))).text, '5000000') },
    async fetch() {
        assert.strictEqual(await (await fetch(`http://${host}:${web}/fetched`)).text(), '/fetched')
        assert.strictEqual((await (await fetch(`http://${host}:${web}/big`)).arrayBuffer()).byteLength, 8 << 20)
        await assert.rejects(fetch(`http://${host}:64999/`), e => /ECONNREFUSED/.test(e.cause.code + e.cause.errors?.map(x => x.code)))
    },
    async http2() {
        const s = http2.connect(`http://${host}:${two}`)
        const got = await Promise.all([...Array(50).keys()].map(async i => {
            const q = s.request({ ':path': '/' + i }).setEncoding('utf8')
            let text = ''
            for await (const d of q) text += d
            return text
        }))
        got.forEach((t, i) => assert.strictEqual(t, '/' + i))
        s.close()
    },
    async half_close() {
        const c = net.connect({ port: lines, host, family: 4, allowHalfOpen: true })
        await once(c, 'connect')
        assert.strictEqual(c.remotePort, Number(lines))
        assert.strictEqual(c.localAddress, me)
        c.setNoDelay(true).setKeepAlive(true, 1000).end('stressed')
        let text = ''
        for await (const d of c) text += d
        assert.strictEqual(text, 'desserts')
    },
    async errors() {
        const code = async port => {
            const [e] = await once(net.connect({ port, host, family: 4 }), 'error')
            return e.code
        }
        assert.strictEqual(await code(64999), 'ECONNREFUSED')
        await assert.rejects(once(net.connect({ port: 80, host: 'nobody-knows.i3' }), 'connect'), { code: 'ENOTFOUND' })
    },
    async given_up() { // while it dials
        const c = net.connect({ port: lines, host })
        c.destroy()
        await once(c, 'close')
    },
    async dgram() {
        const s = dgram.createSocket('udp4')
        s.send('hello', Number(packets), host)
        const [m, from] = await once(s, 'message')
        assert.strictEqual(m.toString(), 'HELLO')
        assert.strictEqual(from.port, Number(packets))
        assert.match(from.address, /^10\./)
        s.connect(Number(packets), host)
        await once(s, 'connect')
        assert.strictEqual(s.remoteAddress().address, from.address)
        s.send('again')
        assert.strictEqual((await once(s, 'message'))[0].toString(), 'AGAIN')
        s.close()
    },
    async threads() {
        assert.strictEqual((await get(false, worker, '/')).text, 'from a thread')
        const texts = await Promise.all([1, 2, 3].map(async i => {
            const w = new Worker(__filename, { argv: process.argv.slice(2), workerData: i })
            return (await once(w, 'message'))[0]
        }))
        assert.deepStrictEqual(texts, ['/thread1', '/thread2', '/thread3'])
    },
    async cluster() { for (const port of [spread, shared]) await of_four(port) },
}

// Each process knows the caller's virtual address, and its own.
async function of_four(port) {
    const got = await Promise.all([...Array(60).keys()].map(() => get(false, port, '/')))
    const seen = new Set()
    for (const { text } of got) {
        const [pid, caller, own] = text.split(' ')
        seen.add(pid)
        assert.strictEqual(caller.replace('::ffff:', ''), me)
        assert.match(own.replace('::ffff:', ''), /^10\./)
    }
    assert(seen.size > (port === spread ? 3 : 0), `answered by ${seen.size} processes`)
}

async function all() {
    for (const [name, test] of Object.entries(tests)) {
        try {
            await Promise.race([test(), new Promise((_, no) => setTimeout(no, 15000, new Error('not done after 15 s')).unref())])
        } catch (e) {
            console.log(name, e.stack || e)
        }
    }
}

if (isMainThread) all().then(() => process.exit())
else fetch(`http://${host}:${web}/thread${workerData}`).then(a => a.text()).then(t => require('worker_threads').parentPort.postMessage(t))

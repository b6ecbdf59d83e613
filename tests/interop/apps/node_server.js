// Servers of many kinds in one process, which knows nothing of i3: prints "port N" (http), then "NAME N" for the others, and
// "CALLER NAME" for each who comes.   node_server.js
'use strict'
const http = require('http'), http2 = require('http2'), net = require('net'), dgram = require('dgram')
const { Worker, isMainThread, parentPort } = require('worker_threads')

const came = (name, address) => console.log(address.replace(/^::ffff:/, ''), name)

const web = http.createServer({ keepAliveTimeout: 30000 }, (q, a) => {
    came('http', q.socket.remoteAddress)
    let n = 0
    q.on('data', d => { n += d.length })
    q.on('end', () => a.end(q.url === '/big' ? Buffer.alloc(8 << 20, 'x') : q.method === 'POST' ? String(n) : q.url))
})
const two = http2.createServer()
two.on('session', s => came('http2', s.socket.remoteAddress))
two.on('stream', (s, h) => { s.respond({ ':status': 200 }); s.end(h[':path']) })

const lines = net.createServer({ allowHalfOpen: true }, c => {
    came('net', c.remoteAddress)
    const parts = []
    c.on('data', d => parts.push(d))
    c.on('end', () => c.end(Buffer.concat(parts).reverse())) // after the caller's half-close
})
const packets = dgram.createSocket('udp4', (m, from) => {
    came('dgram', from.address)
    packets.send(m.toString().toUpperCase(), from.port, from.address)
})

if (isMainThread) {
    const up = (s, ...where) => new Promise(ok => s.listen ? s.listen(...where, () => ok(s.address().port)) : s.bind(...where, () => ok(s.address().port)))
    Promise.all([up(web, 0), up(two, 0), up(lines, 0), up(packets, 0)]).then(async ([a, b, c, d]) => {
        const worker = new Worker(__filename)
        const e = await new Promise(ok => worker.once('message', ok))
        console.log(`http2 ${b}\nnet ${c}\ndgram ${d}\nworker ${e}\nport ${a}`)
    })
} else {
    const s = http.createServer((q, a) => { came('worker', q.socket.remoteAddress); a.end('from a thread') })
    s.listen(0, () => parentPort.postMessage(s.address().port))
}

// Four processes behind one listener: rr, whose parent accepts and passes each connection on; or none, where the children share the
// listener itself. Prints "port N" and "CALLER PID" for each request.    node_cluster.js rr|none
'use strict'
const cluster = require('cluster'), http = require('http')

cluster.schedulingPolicy = process.argv[2] === 'rr' ? cluster.SCHED_RR : cluster.SCHED_NONE
if (cluster.isPrimary) {
    let up = 0
    cluster.on('listening', (w, a) => { if (++up === 4) console.log('port', a.port) })
    for (let i = 0; i < 4; i++) cluster.fork()
} else {
    http.createServer((q, a) => {
        console.log(q.socket.remoteAddress.replace(/^::ffff:/, ''), process.pid)
        a.setHeader('Connection', 'close')
        a.end(`${process.pid} ${q.socket.remoteAddress} ${q.socket.localAddress}`)
    }).listen(0)
}

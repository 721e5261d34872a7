// A node of bittorrent-dht, with the peer wire of WebTorrent, that is told what to do by JSON lines on stdin. The
// protocol is described in ../../README.md.
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import DHT from 'bittorrent-dht'
import { verify } from './keys.mjs'
import { operations } from './operations.mjs'
import { Swarm } from './swarm.mjs'

// No operation may outlive this: a test that waits longer has failed anyway.
const DEADLINE_MS = 29_000

const { values: args } = parseArgs({
  options: {
    listen: { type: 'string', default: '127.0.0.1:0' },
    dir: { type: 'string' },
    mode: { type: 'string', default: 'server' },
    bootstrap: { type: 'string', default: '' }
  }
})
const colon = args.listen.lastIndexOf(':')
const host = args.listen.slice(0, colon)
if (host.startsWith('[')) throw new Error('its sockets are udp4 only')
if (args.mode !== 'server') throw new Error('it has no read-only mode')

// Without `bootstrap: false` it would look for the hosts of the public network.
const dht = new DHT({ bootstrap: args.bootstrap === '' ? false : args.bootstrap.split(','), verify, host: false })
dht.on('warning', (err) => console.error('warning', err.message))
dht.on('error', (err) => console.error('error', err))
await new Promise((resolve) => dht.listen(Number(args.listen.slice(colon + 1)), host, resolve))

const swarm = new Swarm(dht)
const server = createServer((socket) => swarm.accept(socket))
await new Promise((resolve) => server.listen(0, host, resolve))
swarm.port = server.address().port

const write = (line) => process.stdout.write(JSON.stringify(line) + '\n')
const run = operations(dht, swarm)
write({
  event: 'ready',
  addr: `${host}:${dht.address().port}`,
  id: Buffer.from(dht.nodeId).toString('hex'),
  tcp: `${host}:${swarm.port}`
})

// A connection that breaks somewhere deep in the stack must not end the peer in the middle of a test.
process.on('uncaughtException', (err) => console.error('uncaught', err))
process.on('unhandledRejection', (err) => console.error('unhandled', err))

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line)
  if (request.op === 'quit') {
    write({ id: request.id, ok: true })
    break
  }
  answer(request)
}
process.exit(0)

async function answer (request) {
  let timer
  const late = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('deadline of 29 s passed')), DEADLINE_MS)
  })
  try {
    const result = await Promise.race([run(request), late])
    write({ id: request.id, ok: true, ...result })
  } catch (err) {
    write({ id: request.id, ok: false, error: err.message })
  } finally {
    clearTimeout(timer)
  }
}

// A @libp2p/kad-dht peer that is told what to do by JSON lines on stdin. The protocol is described in ../../README.md.
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { identify, identifyPush } from '@libp2p/identify'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { createLibp2p } from 'libp2p'
import { ipnsSelector } from 'ipns/selector'
import { ipnsValidator } from 'ipns/validator'
import { operations } from './operations.mjs'

// No operation may outlive this: a test that waits longer has failed anyway.
const DEADLINE_MS = 30_000

const { values: args } = parseArgs({
  options: {
    prefix: { type: 'string', default: '/ipfs' },
    mode: { type: 'string', default: 'server' },
    listen: { type: 'string', default: '/ip4/127.0.0.1/tcp/0' }
  }
})

const validators = { ipns: ipnsValidator }
const selectors = { ipns: ipnsSelector }
if (args.prefix !== '/ipfs') {
  // The private namespace: every value is right, the first one heard is best.
  validators.v = () => {}
  selectors.v = () => 0
}

const node = await createLibp2p({
  addresses: { listen: [args.listen] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  // All peers of a test share one IP; the defaults refuse to dial it and allow five connections a second from it.
  connectionGater: { denyDialMultiaddr: () => false },
  connectionManager: { inboundConnectionThreshold: Infinity, maxIncomingPendingConnections: 1000 },
  services: {
    identify: identify(),
    identifyPush: identifyPush(),
    ping: ping(),
    dht: kadDHT({
      protocol: `${args.prefix}/kad/1.0.0`,
      clientMode: args.mode === 'client',
      peerInfoMapper: passthroughMapper,
      allowQueryWithZeroPeers: true,
      validators,
      selectors
    })
  }
})

const write = (line) => process.stdout.write(JSON.stringify(line) + '\n')
const run = operations(node)

write({ event: 'ready', peer: node.peerId.toString(), addrs: node.getMultiaddrs().map(String) })

// A stream that breaks somewhere deep in the stack must not end the peer in the middle of a test.
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
  try {
    const result = await withDeadline((signal) => run(request, signal))
    write({ id: request.id, ok: true, ...result })
  } catch (err) {
    write({ id: request.id, ok: false, error: `${err.name}: ${err.message}` })
  }
}

// The signal asks the stack to stop; the race answers even when the stack does not listen.
async function withDeadline (work) {
  const signal = AbortSignal.timeout(DEADLINE_MS)
  const late = new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason))
  })
  return Promise.race([work(signal), late])
}

// What each operation of the line protocol means on bittorrent-dht.
import { createHash, randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import bencode from 'bencode'
import { signer } from './keys.mjs'

const PIECE = 16 * 1024
const hex = (bytes) => Buffer.from(bytes).toString('hex')
const value = (request) => bencode.decode(Buffer.from(request.value, 'base64'))
const sha1 = (...parts) => createHash('sha1').update(Buffer.concat(parts)).digest()

export function operations (dht, swarm) {
  const known = {
    async add_node ({ addr }) {
      dht.addNode(endpoint(addr))
    },

    async table () {
      return { nodes: dht.nodes.toArray().map((node) => ({ id: hex(node.id), addr: `${node.host}:${node.port}` })) }
    },

    async ping ({ addr }) {
      const node = await call((done) => dht._sendPing(endpoint(addr), done))
      return { node: hex(node.id) }
    },

    async find_node ({ target }) {
      const nodes = new Map()
      const seen = (message) => {
        for (let at = 0; message.r?.nodes && at + 26 <= message.r.nodes.length; at += 26) {
          const [id, ip] = [message.r.nodes.subarray(at, at + 20), message.r.nodes.subarray(at + 20, at + 24)]
          nodes.set(hex(id), `${ip.join('.')}:${message.r.nodes.readUInt16BE(at + 24)}`)
        }
        return true
      }
      const query = { q: 'find_node', a: { id: dht.nodeId, target: Buffer.from(target, 'hex') } }
      await call((done) => dht._rpc.closest(Buffer.from(target, 'hex'), query, seen, done))
      return { nodes: [...nodes].map(([id, addr]) => ({ id, addr })) }
    },

    async get_peers ({ info_hash: infoHash }) {
      const peers = new Set()
      const found = (peer, hash) => hex(hash) === infoHash && peers.add(`${peer.host}:${peer.port}`)
      dht.on('peer', found)
      try {
        await call((done) => dht.lookup(infoHash, done))
      } finally {
        dht.removeListener('peer', found)
      }
      return { peers: [...peers].sort() }
    },

    async announce ({ info_hash: infoHash, port, implied_port: implied }) {
      // Port 0 is how the library says implied_port.
      const sent = await call((done) => dht.announce(infoHash, implied ? 0 : port, done))
      return { sent }
    },

    async put_immutable (request) {
      const [target, stored] = await put({ v: value(request) })
      return { target: hex(target), stored }
    },

    async get_immutable ({ target }) {
      const found = await call((done) => dht.get(target, done))
      if (found === null) throw new Error('not found')
      return { value: Buffer.from(bencode.encode(found.v)).toString('base64') }
    },

    async put_mutable (request) {
      const { publicKey, sign } = signer(Buffer.from(request.seed, 'hex'))
      const item = { k: publicKey, v: value(request), seq: request.seq ?? 1, sign }
      if (request.salt) item.salt = Buffer.from(request.salt, 'base64')
      if (request.cas !== undefined && request.cas !== null) item.cas = request.cas
      const [target, stored] = await put(item)
      return { target: hex(target), key: hex(publicKey), seq: item.seq, stored }
    },

    async get_mutable ({ key, salt }) {
      const bytes = Buffer.from(salt ?? '', 'base64')
      const options = bytes.length > 0 ? { salt: bytes } : {}
      const found = await call((done) => dht.get(sha1(Buffer.from(key, 'hex'), bytes), options, done))
      if (found === null) throw new Error('not found')
      return { value: Buffer.from(bencode.encode(found.v)).toString('base64'), seq: found.seq }
    },

    async make_torrent ({ name, size, dir }) {
      const data = randomBytes(size)
      const pieces = []
      for (let at = 0; at < size; at += PIECE) pieces.push(sha1(data.subarray(at, at + PIECE)))
      const info = { length: size, name, 'piece length': PIECE, pieces: Buffer.concat(pieces) }
      const file = join(dir, `${name}.torrent`)
      await writeFile(join(dir, name), data)
      await writeFile(file, bencode.encode({ info }))
      return { file, info_hash: hex(sha1(bencode.encode(info))) }
    },

    async seed_torrent ({ file }) {
      const torrent = bencode.decode(await readFile(file))
      const infoHash = swarm.add(Buffer.from(bencode.encode(torrent.info)))
      const sent = await call((done) => dht.announce(infoHash, swarm.port, done))
      return { sent }
    },

    async fetch_metadata ({ magnet }) {
      const infoHash = /btih:([0-9a-fA-F]{40})/.exec(magnet)?.[1].toLowerCase()
      if (infoHash === undefined) throw new Error('unsupported')
      return { info: (await swarm.fetch(infoHash)).toString('base64') }
    },

    async stats () {
      return { nodes: dht.nodes.count(), items: Object.keys(dht.toJSON().values).length }
    }
  }

  return async (request) => {
    if (!Object.hasOwn(known, request.op)) throw new Error('unsupported')
    return known[request.op](request)
  }

  // The callback has the target in the middle, and an error when not one node stored it.
  function put (item) {
    return new Promise((resolve, reject) => {
      dht.put(item, (err, target, stored) => err ? reject(err) : resolve([target, stored]))
    })
  }
}

function endpoint (addr) {
  const colon = addr.lastIndexOf(':')
  return { host: addr.slice(0, colon), port: Number(addr.slice(colon + 1)) }
}

function call (start) {
  return new Promise((resolve, reject) => {
    start((err, result) => err ? reject(err) : resolve(result))
  })
}

// The peer wire, for metadata only (BEP 9): it has no piece of the data to give.
import { createHash, randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import Protocol from 'bittorrent-protocol'
import utMetadata from 'ut_metadata'

const peerId = Buffer.concat([Buffer.from('-WT0000-'), randomBytes(12)])

export class Swarm {
  constructor (dht) {
    this.dht = dht
    this.infos = new Map()
  }

  // Serves the metadata from now on. Returns the info hash.
  add (info) {
    const infoHash = createHash('sha1').update(info).digest('hex')
    this.infos.set(infoHash, info)
    return infoHash
  }

  accept (socket) {
    const wire = new Protocol()
    socket.on('error', () => wire.destroy())
    wire.on('error', () => socket.destroy())
    socket.pipe(wire).pipe(socket)
    wire.on('handshake', (infoHash) => {
      const info = this.infos.get(infoHash)
      if (info === undefined) return socket.destroy()
      wire.use(utMetadata(info))
      wire.handshake(infoHash, peerId.toString('hex'), { dht: true })
    })
  }

  // Metadata from whoever announced the hash and gives it first. Looks again until somebody does.
  async fetch (infoHash) {
    const asked = new Set()
    return new Promise((resolve, reject) => {
      const found = (peer, hash) => {
        const name = `${peer.host}:${peer.port}`
        if (Buffer.from(hash).toString('hex') !== infoHash || asked.has(name)) return
        asked.add(name)
        this.ask(peer, infoHash, done)
      }
      const look = () => this.dht.lookup(infoHash)
      const again = setInterval(look, 1000)
      const late = setTimeout(() => done(new Error('nobody gave it')), 28_000)
      const done = (err, info) => {
        clearInterval(again)
        clearTimeout(late)
        this.dht.removeListener('peer', found)
        err ? reject(err) : resolve(info)
      }
      this.dht.on('peer', found)
      look()
    })
  }

  ask (peer, infoHash, done) {
    const socket = connect(peer.port, peer.host)
    const wire = new Protocol()
    socket.on('error', () => wire.destroy())
    wire.on('error', () => socket.destroy())
    socket.pipe(wire).pipe(socket)
    wire.use(utMetadata())
    wire.ut_metadata.on('warning', (err) => console.error('metadata', err.message))
    wire.ut_metadata.on('metadata', () => {
      socket.destroy()
      done(null, Buffer.from(wire.ut_metadata.metadata))
    })
    wire.ut_metadata.fetch()
    socket.on('connect', () => wire.handshake(infoHash, peerId.toString('hex'), { dht: true }))
  }
}

// What each operation of the line protocol means on js-libp2p. A DHT call there yields events, of which most are
// progress; a failed request is an event too, so what counts as success is decided here.
import { randomBytes } from 'node:crypto'
import { generateKeyPair, publicKeyToProtobuf } from '@libp2p/crypto/keys'
import { peerIdFromPublicKey, peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { createIPNSRecord, marshalIPNSRecord, multihashToIPNSRoutingKey } from 'ipns'
import { CID } from 'multiformats/cid'

const bytes = (text) => new Uint8Array(Buffer.from(text, 'base64'))
const base64 = (value) => Buffer.from(value).toString('base64')

export function operations (node) {
  const dht = node.services.dht
  const rsa = lazily(() => generateKeyPair('RSA', 2048))

  const known = {
    async connect ({ addr }, signal) {
      await node.dial(multiaddr(addr), { signal })
    },

    async table () {
      const peers = [...dht.routingTable.kb.toIterable()].map(({ peerId }) => peerId.toString())
      return { peers }
    },

    async refresh (_request, signal) {
      await dht.refreshRoutingTable({ signal })
    },

    async find_peer ({ peer }, signal) {
      for await (const event of dht.findPeer(peerIdFromString(peer), { signal })) {
        if (event.name === 'FINAL_PEER') {
          return { addrs: event.peer.multiaddrs.map(String) }
        }
      }
      throw new Error('not found')
    },

    async closest ({ key }, signal) {
      return { peers: await closest(bytes(key), signal) }
    },

    async put ({ key, value }, signal) {
      // The library reports a put that no peer took by events only.
      let stored = 0
      let failure = 'no peer to store at'
      for await (const event of dht.put(bytes(key), bytes(value), { signal })) {
        if (event.messageName === 'PUT_VALUE' && event.name === 'PEER_RESPONSE') {
          stored++
        } else if (event.name === 'QUERY_ERROR') {
          failure = event.error.message
        }
      }
      if (stored === 0) {
        throw new Error(failure)
      }
      return { stored }
    },

    async get ({ key }, signal) {
      let value
      for await (const event of dht.get(bytes(key), { signal })) {
        if (event.name === 'VALUE') {
          value = event.value
        }
      }
      if (value == null) {
        throw new Error('not found')
      }
      return { value: base64(value) }
    },

    async provide ({ cid }, signal) {
      let sent = 0
      let failure = 'no peer to tell'
      for await (const event of dht.provide(CID.parse(cid), { signal })) {
        if (event.name === 'PEER_RESPONSE' && event.messageName === 'ADD_PROVIDER') {
          sent++
        } else if (event.name === 'QUERY_ERROR') {
          failure = event.error.message
        }
      }
      if (sent === 0) {
        throw new Error(failure)
      }
      return { sent }
    },

    async providers ({ cid, count = 20 }, signal) {
      const found = new Map()
      for await (const event of dht.findProviders(CID.parse(cid), { signal })) {
        if (event.name === 'PROVIDER') {
          for (const { id, multiaddrs } of event.providers) {
            found.set(id.toString(), multiaddrs.map(String))
          }
        }
        if (count > 0 && found.size >= count) {
          break
        }
      }
      return { peers: [...found].map(([peer, addrs]) => ({ peer, addrs })) }
    },

    async own_pk () {
      const { publicKey } = await rsa()
      const key = Buffer.concat([Buffer.from('/pk/'), publicKey.toMultihash().bytes])
      return {
        key: base64(key),
        value: base64(publicKeyToProtobuf(publicKey)),
        peer: peerIdFromPublicKey(publicKey).toString()
      }
    },

    async make_ipns ({ value, sequence = 0, lifetime = 3600, key_type: keyType = 'ed25519' }) {
      const signer = keyType === 'rsa' ? await rsa() : node.components.privateKey
      const record = await createIPNSRecord(signer, value, sequence, lifetime * 1000)
      return {
        key: base64(multihashToIPNSRoutingKey(signer.publicKey.toMultihash())),
        value: base64(marshalIPNSRecord(record)),
        peer: peerIdFromPublicKey(signer.publicKey).toString()
      }
    },

    async protocols ({ peer }) {
      const id = peerIdFromString(peer)
      const { protocols } = await node.peerStore.get(id)
      return { protocols, connected: node.getConnections(id).length > 0 }
    },

    // With a peer each request has a stream of its own to it; without one, each is a lookup of a random key.
    async burst ({ peer, count, kind = 'closest' }, signal) {
      if (kind !== 'closest') {
        throw new Error('unsupported kind')
      }
      const one = peer == null
        ? () => closest(randomBytes(32), signal)
        : () => askOne(peerIdFromString(peer), signal)
      const results = await Promise.allSettled(Array.from({ length: count }, one))
      const failures = results.filter(({ status }) => status === 'rejected')
      return {
        succeeded: count - failures.length,
        failed: failures.length,
        first_error: failures[0]?.reason.message
      }
    }
  }

  async function closest (key, signal) {
    const peers = []
    for await (const event of dht.getClosestPeers(key, { signal })) {
      if (event.name === 'FINAL_PEER') {
        peers.push(event.peer.id.toString())
      }
    }
    return peers
  }

  async function askOne (to, signal) {
    const request = { type: 'FIND_NODE', key: randomBytes(32) }
    for await (const event of dht.network.sendRequest(to, request, { signal, path: { index: -1 } })) {
      if (event.name === 'PEER_RESPONSE') {
        return
      }
      if (event.name === 'QUERY_ERROR') {
        throw event.error
      }
    }
    throw new Error('no answer')
  }

  return async (request, signal) => {
    if (!Object.hasOwn(known, request.op)) {
      throw new Error(`unsupported: ${request.op}`)
    }
    return known[request.op](request, signal)
  }
}

// A 2048 bit RSA key takes long enough that only a test which needs it should pay.
function lazily (make) {
  let made
  return () => {
    made ??= make()
    return made
  }
}

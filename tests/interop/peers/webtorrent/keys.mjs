// Ed25519 by Node's own crypto, from and to the raw keys that BEP 44 carries.
import { createPrivateKey, createPublicKey, sign, verify as check } from 'node:crypto'

const PRIVATE = Buffer.from('302e020100300506032b657004220420', 'hex')
const PUBLIC = Buffer.from('302a300506032b6570032100', 'hex')

export function signer (seed) {
  const key = createPrivateKey({ key: Buffer.concat([PRIVATE, seed]), format: 'der', type: 'pkcs8' })
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
  return { publicKey: spki.subarray(-32), sign: (message) => sign(null, message, key) }
}

export function verify (signature, message, publicKey) {
  const spki = Buffer.concat([PUBLIC, Buffer.from(publicKey)])
  const key = createPublicKey({ key: spki, format: 'der', type: 'spki' })
  return check(null, Buffer.from(message), key, Buffer.from(signature))
}

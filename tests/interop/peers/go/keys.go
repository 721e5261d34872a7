package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs/boxo/ipns"
	"github.com/ipfs/boxo/path"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Keys are an Ed25519 identity, as today's nodes have, and an RSA key beside it: the name of an Ed25519 peer contains
// its key, so only a longer key gives a /pk/ record that somebody needs to look up.
type Keys struct {
	identity crypto.PrivKey
	rsa      crypto.PrivKey
}

func newKeys() (Keys, error) {
	identity, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return Keys{}, err
	}
	rsa, _, err := crypto.GenerateRSAKeyPair(2048, rand.Reader)
	return Keys{identity: identity, rsa: rsa}, err
}

func (k *Keys) publicKeyRecord() (answer, error) {
	id, err := peer.IDFromPrivateKey(k.rsa)
	if err != nil {
		return nil, err
	}
	value, err := crypto.MarshalPublicKey(k.rsa.GetPublic())
	return answer{"key": []byte("/pk/" + string(id)), "value": value, "peer": id.String()}, err
}

// ipnsRecord signs with the peer's identity, or with its RSA key when asked: that record carries the public key.
// A sequence and a lifetime (seconds, negative for an expired record) let a test make better and worse ones.
func (k *Keys) ipnsRecord(r *Request) (answer, error) {
	signer := k.identity
	switch r.KeyType {
	case "", "ed25519":
	case "rsa":
		signer = k.rsa
	default:
		return nil, fmt.Errorf("unsupported key type %q", r.KeyType)
	}
	if r.Value == "" {
		return nil, errors.New("make_ipns needs a path as value")
	}
	target, err := path.NewPath(r.Value)
	if err != nil {
		return nil, err
	}
	lifetime := time.Hour
	if r.Lifetime != nil {
		lifetime = time.Duration(*r.Lifetime) * time.Second
	}
	record, err := ipns.NewRecord(signer, target, r.Sequence, time.Now().Add(lifetime), 5*time.Minute)
	if err != nil {
		return nil, err
	}
	value, err := ipns.MarshalRecord(record)
	if err != nil {
		return nil, err
	}
	id, err := peer.IDFromPrivateKey(signer)
	if err != nil {
		return nil, err
	}
	return answer{"key": ipns.NameFromPeer(id).RoutingKey(), "value": value, "peer": id.String()}, nil
}

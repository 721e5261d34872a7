package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/ipfs/go-cid"
	kb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// Request is one line of stdin. Byte fields travel as base64, which encoding/json does for []byte.
type Request struct {
	ID       int64    `json:"id"`
	Op       string   `json:"op"`
	Addr     string   `json:"addr"`
	Peer     string   `json:"peer"`
	Key      []byte   `json:"key"`
	Cid      string   `json:"cid"`
	Value    string   `json:"value"` // base64 for put, a path for make_ipns
	Count    int      `json:"count"`
	Kind     string   `json:"kind"`
	Sequence uint64   `json:"sequence"`
	Lifetime *int64   `json:"lifetime"` // seconds
	KeyType  string   `json:"key_type"`
	Frames   [][]byte `json:"frames"`
	Expect   int      `json:"expect"`
}

func (p *Peer) run(ctx context.Context, r *Request) (answer, error) {
	switch r.Op {
	case "connect":
		return nil, p.connect(ctx, r.Addr)
	case "table":
		return answer{"peers": names(p.dht.RoutingTable().ListPeers())}, nil
	case "refresh":
		return nil, within(ctx, p.dht.ForceRefresh())
	case "find_peer":
		return p.findPeer(ctx, r.Peer)
	case "closest":
		found, err := p.dht.GetClosestPeers(ctx, string(r.Key))
		return answer{"peers": names(found)}, err
	case "put":
		value, err := fromBase64(r.Value)
		if err != nil {
			return nil, err
		}
		return nil, p.dht.PutValue(ctx, string(r.Key), value)
	case "get":
		value, err := p.dht.GetValue(ctx, string(r.Key))
		return answer{"value": value}, err
	case "provide":
		c, err := cid.Decode(r.Cid)
		if err != nil {
			return nil, err
		}
		return nil, p.dht.Provide(ctx, c, true)
	case "providers":
		return p.providers(ctx, r)
	case "own_pk":
		return p.keys.publicKeyRecord()
	case "make_ipns":
		return p.keys.ipnsRecord(r)
	case "protocols":
		return p.protocols(r.Peer)
	case "burst":
		return p.burst(ctx, r)
	case "raw":
		return p.raw(ctx, r)
	}
	return nil, fmt.Errorf("unsupported: %s", r.Op)
}

func (p *Peer) connect(ctx context.Context, addr string) error {
	info, err := peer.AddrInfoFromString(addr)
	if err != nil {
		return err
	}
	return p.host.Connect(ctx, *info)
}

func (p *Peer) findPeer(ctx context.Context, name string) (answer, error) {
	id, err := peer.Decode(name)
	if err != nil {
		return nil, err
	}
	info, err := p.dht.FindPeer(ctx, id)
	if err != nil {
		return nil, err
	}
	return answer{"addrs": addrs(info)}, nil
}

func (p *Peer) providers(ctx context.Context, r *Request) (answer, error) {
	c, err := cid.Decode(r.Cid)
	if err != nil {
		return nil, err
	}
	found := []answer{}
	seen := map[peer.ID]int{}
	for info := range p.dht.FindProvidersAsync(ctx, c, r.Count) {
		entry := answer{"peer": info.ID.String(), "addrs": addrs(info)}
		// The reference names a provider again once it has learned addresses for it.
		if at, ok := seen[info.ID]; ok {
			found[at] = entry
			continue
		}
		seen[info.ID] = len(found)
		found = append(found, entry)
	}
	return answer{"peers": found}, ctx.Err()
}

func (p *Peer) protocols(name string) (answer, error) {
	id, err := peer.Decode(name)
	if err != nil {
		return nil, err
	}
	known, err := p.host.Peerstore().GetProtocols(id)
	return answer{"protocols": protocol.ConvertToStrings(known), "connected": p.host.Network().Connectedness(id) == network.Connected}, err
}

// burst starts everything at once. With a peer each request has a stream of its own to that peer, which is what a
// server must stand; without one, each is a lookup of a random key.
func (p *Peer) burst(ctx context.Context, r *Request) (answer, error) {
	if r.Kind != "" && r.Kind != "closest" {
		return nil, errors.New("unsupported kind")
	}
	var target peer.ID
	if r.Peer != "" {
		var err error
		if target, err = peer.Decode(r.Peer); err != nil {
			return nil, err
		}
	}
	var succeeded atomic.Int64
	var firstError atomic.Value
	done := make(chan struct{})
	for range r.Count {
		go func() {
			defer func() { done <- struct{}{} }()
			key := make([]byte, 32)
			_, _ = rand.Read(key)
			var err error
			if target != "" {
				request := kb.NewMessage(kb.Message_FIND_NODE, key, 0)
				err = p.ask(ctx, target, request)
			} else {
				_, err = p.dht.GetClosestPeers(ctx, string(key))
			}
			if err != nil {
				firstError.CompareAndSwap(nil, err.Error())
				return
			}
			succeeded.Add(1)
		}()
	}
	for range r.Count {
		<-done
	}
	result := answer{"succeeded": succeeded.Load(), "failed": int64(r.Count) - succeeded.Load()}
	if why := firstError.Load(); why != nil {
		result["first_error"] = why
	}
	return result, nil
}

func within(ctx context.Context, done <-chan error) error {
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func names(ids []peer.ID) []string {
	out := make([]string, 0, len(ids))
	for _, id := range ids {
		out = append(out, id.String())
	}
	return out
}

func addrs(info peer.AddrInfo) []string {
	out := []string{}
	for _, a := range info.Addrs {
		out = append(out, a.String())
	}
	return out
}

// A go-libp2p-kad-dht peer that is told what to do by JSON lines on stdin. The protocol is described in
// ../../README.md. Nothing here knows the node under test: to this program every peer is a stranger.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// No operation may outlive this: a test that waits longer has failed anyway.
const deadline = 30 * time.Second

// Peer is what every operation works on.
type Peer struct {
	host     host.Host
	dht      *dht.IpfsDHT
	protocol protocol.ID
	keys     Keys
}

func main() {
	prefix := flag.String("prefix", "/ipfs", "protocol prefix, /ipfs or a private one")
	mode := flag.String("mode", "server", "server or client")
	listen := flag.String("listen", "/ip4/127.0.0.1/tcp/0", "address to listen on")
	flag.Parse()

	p, err := newPeer(*prefix, *mode, *listen)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	out := &answers{enc: json.NewEncoder(os.Stdout)}
	out.write(p.ready())
	p.serve(bufio.NewReader(os.Stdin), out)
}

func newPeer(prefix, mode, listen string) (*Peer, error) {
	keys, err := newKeys()
	if err != nil {
		return nil, err
	}
	h, err := libp2p.New(
		libp2p.Identity(keys.identity),
		libp2p.ListenAddrStrings(listen),
		libp2p.DisableRelay(),
		// Every peer of a test has the same IP, which the default limits take for an attack.
		libp2p.ResourceManager(&network.NullResourceManager{}),
	)
	if err != nil {
		return nil, err
	}
	options := []dht.Option{
		dht.ProtocolPrefix(protocol.ID(prefix)),
		dht.DisableAutoRefresh(), // a refresh happens when the test asks for it
		dht.Mode(dht.ModeServer),
	}
	if mode == "client" {
		options = append(options, dht.Mode(dht.ModeClient))
	}
	// The reference refuses to speak for /ipfs with any validators but pk and ipns.
	if prefix != "/ipfs" {
		options = append(options, dht.NamespacedValidator("v", anything{}))
	}
	d, err := dht.New(h, options...)
	if err != nil {
		return nil, err
	}
	return &Peer{host: h, dht: d, protocol: protocol.ID(prefix + "/kad/1.0.0"), keys: keys}, nil
}

func (p *Peer) ready() answer {
	addrs := []string{}
	for _, a := range p.host.Addrs() {
		addrs = append(addrs, a.String()+"/p2p/"+p.host.ID().String())
	}
	return answer{"event": "ready", "peer": p.host.ID().String(), "addrs": addrs}
}

// serve answers until stdin ends or somebody says quit. A line is a request; requests run side by side.
func (p *Peer) serve(in *bufio.Reader, out *answers) {
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var r Request
		if err := json.Unmarshal(line, &r); err != nil {
			out.write(answer{"ok": false, "error": err.Error()})
			continue
		}
		if r.Op == "quit" {
			out.write(answer{"id": r.ID, "ok": true})
			return
		}
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), deadline)
			defer cancel()
			result, err := p.run(ctx, &r)
			if err != nil {
				out.write(answer{"id": r.ID, "ok": false, "error": err.Error()})
				return
			}
			if result == nil {
				result = answer{}
			}
			result["id"], result["ok"] = r.ID, true
			out.write(result)
		}()
	}
}

type answer map[string]any

// answers keeps lines whole although requests finish in any order.
type answers struct {
	mu  sync.Mutex
	enc *json.Encoder
}

func (a *answers) write(v answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = a.enc.Encode(v)
}

// anything is the validator of the private namespace /v/: every value is right, the last one heard is best.
type anything struct{}

func (anything) Validate(string, []byte) error { return nil }

func (anything) Select(string, [][]byte) (int, error) { return 0, nil }

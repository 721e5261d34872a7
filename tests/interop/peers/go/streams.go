package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"

	kb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"
)

// Frames on a stream are at most this long, in both directions.
const maxFrame = 4 << 20

// raw writes all frames on one stream before it reads a single reply, which the reference's own client never does.
func (p *Peer) raw(ctx context.Context, r *Request) (answer, error) {
	info, err := peer.AddrInfoFromString(r.Addr)
	if err != nil {
		return nil, err
	}
	if err := p.host.Connect(ctx, *info); err != nil {
		return nil, err
	}
	replies, err := p.exchange(ctx, info.ID, r.Frames, r.Expect)
	result := answer{"replies": replies}
	// What arrived before the stream broke is the interesting part, so it is told together with the reason.
	if err != nil {
		result["broken"] = err.Error()
	}
	return result, nil
}

// ask sends one request on a new stream and checks that something decodable comes back.
func (p *Peer) ask(ctx context.Context, to peer.ID, request *kb.Message) error {
	frame, err := proto.Marshal(request)
	if err != nil {
		return err
	}
	replies, err := p.exchange(ctx, to, [][]byte{frame}, 1)
	if err != nil {
		return err
	}
	return proto.Unmarshal(replies[0], new(kb.Message))
}

func (p *Peer) exchange(ctx context.Context, to peer.ID, frames [][]byte, expect int) ([][]byte, error) {
	replies := [][]byte{}
	s, err := p.host.NewStream(ctx, to, p.protocol)
	if err != nil {
		return replies, err
	}
	defer closeOrReset(s, &err)
	if at, ok := ctx.Deadline(); ok {
		_ = s.SetDeadline(at)
	}
	var all []byte
	for _, frame := range frames {
		all = binary.AppendUvarint(all, uint64(len(frame)))
		all = append(all, frame...)
	}
	if _, err = s.Write(all); err != nil {
		return replies, err
	}
	in := bufio.NewReader(s)
	for range expect {
		var length uint64
		if length, err = binary.ReadUvarint(in); err != nil {
			return replies, err
		}
		if length > maxFrame {
			err = errors.New("reply longer than 4 MiB")
			return replies, err
		}
		reply := make([]byte, length)
		if _, err = io.ReadFull(in, reply); err != nil {
			return replies, err
		}
		replies = append(replies, reply)
	}
	return replies, nil
}

func closeOrReset(s network.Stream, err *error) {
	if *err != nil {
		_ = s.Reset()
		return
	}
	_ = s.Close()
}

func fromBase64(text string) ([]byte, error) {
	return base64.StdEncoding.DecodeString(text)
}

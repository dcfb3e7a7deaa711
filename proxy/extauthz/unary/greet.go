package unary

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/net/http2"
)

const (
	// greetTime is how long a connection may take to say that it speaks HTTP/2.
	greetTime = 10 * time.Second
	// chooseTime is how long it may then take to ask for something. Who is silent may want
	// an answer to a ping: it is taken for one that will ask for the method.
	chooseTime = time.Second
	// maxGreeting bounds what is kept of a connection until then.
	maxGreeting = 64 << 10

	frameSize  = 16 << 10 // of what is sent and received: the least that HTTP/2 allows as a bound
	streamZero = 0        // the connection
)

var errNotHTTP2 = errors.New("the connection does not begin as HTTP/2 does")

// greet makes the connection one of HTTP/2, and looks whom it is for. seen is all that was
// read.
func (c *conn) greet() (seen []byte, ours bool, err error) {
	c.within(greetTime)
	if c.server.cfg.TLS != nil {
		t := tls.Server(c.net, c.server.cfg.TLS)
		if err := t.HandshakeContext(context.Background()); err != nil {
			return nil, false, err
		}
		if t.ConnectionState().NegotiatedProtocol != http2.NextProtoTLS {
			return nil, false, errNotHTTP2
		}
		c.swap(t)
	}
	if err := c.settings(); err != nil {
		return nil, false, err
	}
	var b bytes.Buffer
	r := bufio.NewReader(io.TeeReader(c.net, &b))
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(r, preface); err != nil {
		return nil, false, err
	}
	if string(preface) != http2.ClientPreface {
		return nil, false, errNotHTTP2
	}
	c.within(chooseTime)
	path, err := firstPath(http2.NewFramer(nil, r), func() bool { return b.Len() > maxGreeting })
	if errors.Is(err, errNotHTTP2) {
		return nil, false, err
	}
	// What is no request is ours to refuse, who is silent may ask for the method yet, and
	// what cannot be read will not be read a second time.
	return b.Bytes(), path == "" || path == c.server.cfg.Method, nil
}

// within gives the client that long for what it should say next; less if the server stops.
func (c *conn) within(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked {
		d = min(d, chooseTime)
	}
	_ = c.net.SetDeadline(time.Now().Add(d)) // if it fails, so will the reading
}

// settings says what clients may send. Another server may say it again.
func (c *conn) settings() error {
	return http2.NewFramer(c.net, nil).WriteSettings(
		http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: c.server.cfg.MaxStreams},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(c.server.cfg.StreamWindow)}, //nolint:gosec // far below
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: maxHeader},
	)
}

// firstPath is what the first request asks for; "" where that cannot be said, or is more
// than enough already.
func firstPath(f *http2.Framer, enough func() bool) (string, error) {
	f.SetMaxReadFrameSize(frameSize)
	var block []byte
	for settled := false; !enough(); {
		frame, err := f.ReadFrame()
		if err != nil {
			return "", err
		}
		if _, ok := frame.(*http2.SettingsFrame); !ok && !settled {
			return "", errNotHTTP2 // it begins with settings, always
		}
		settled = true
		whole := false
		switch frame := frame.(type) {
		case *http2.HeadersFrame:
			block, whole = append(block, frame.HeaderBlockFragment()...), frame.HeadersEnded()
		case *http2.ContinuationFrame:
			block, whole = append(block, frame.HeaderBlockFragment()...), frame.HeadersEnded()
		case *http2.PingFrame:
			return "", nil // it wants an answer now
		}
		if whole {
			h, err := newHeads().read(block)
			if err != nil {
				return "", fmt.Errorf("read the first headers: %w", err)
			}
			return h.path, nil
		}
	}
	return "", nil
}

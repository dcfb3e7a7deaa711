// Package reverse is a small reverse proxy that enforces: what the gate allows goes to
// the one upstream, byte for byte, and everything else ends here.
package reverse

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/rolegate/rolegate/proxy"
)

// Config names the upstream.
type Config struct {
	// Upstream is its URL, http or https, without a path: paths are passed on as they
	// are.
	Upstream string `yaml:"upstream"`
}

// Handler answers every request itself: put no http.ServeMux before it, which would
// clean paths that must be refused.
type Handler struct {
	gate      *proxy.Gate
	upstream  *url.URL
	transport *http.Transport
	forward   httputil.ReverseProxy // what the proxies of all requests have in common
	log       *zap.Logger
}

// Bounds of the upstream's connections. What a response takes is the client's affair.
const (
	idlePerHost     = 64
	idleTimeout     = 90 * time.Second
	dialLimit       = 5 * time.Second
	continueTimeout = time.Second
)

// New makes a handler.
func New(cfg Config, gate *proxy.Gate, log *zap.Logger) (*Handler, error) {
	upstream, err := url.Parse(cfg.Upstream)
	if err != nil {
		return nil, fmt.Errorf("upstream: %w", err)
	}
	if upstream.Scheme != "http" && upstream.Scheme != "https" || upstream.Host == "" || upstream.User != nil ||
		strings.Trim(upstream.Path, "/") != "" || upstream.RawQuery != "" || upstream.Fragment != "" {
		return nil, fmt.Errorf("upstream is %q, want http://host:port or https://host:port", upstream.Redacted())
	}
	h := &Handler{gate: gate, upstream: upstream, transport: newTransport(), log: log.Named("reverse")}
	h.forward.Transport = h.transport
	// A line for each client that hangs up.
	h.forward.ErrorLog, err = zap.NewStdLogAt(h.log, zap.DebugLevel)
	if err != nil {
		return nil, fmt.Errorf("log of the upstream: %w", err)
	}
	return h, nil
}

func newTransport() *http.Transport {
	return &http.Transport{
		// No Proxy: the environment must not say where checked requests go.
		DialContext:           (&net.Dialer{Timeout: dialLimit}).DialContext,
		MaxIdleConnsPerHost:   idlePerHost,
		IdleConnTimeout:       idleTimeout,
		TLSHandshakeTimeout:   dialLimit,
		ExpectContinueTimeout: continueTimeout,
		DisableCompression:    true, // bodies pass as they are
		ForceAttemptHTTP2:     true,
	}
}

// Close ends the idle connections to the upstream. Call it after the server before the
// handler has stopped.
func (h *Handler) Close() { h.transport.CloseIdleConnections() }

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := h.gate.Check(r.Context(), inbound(r))
	if !a.Passes() {
		deny(w, a.Reply)
		return
	}
	forward := h.forward
	forward.Rewrite = func(pr *httputil.ProxyRequest) { h.rewrite(pr, a.Reply) }
	forward.ModifyResponse = func(res *http.Response) error {
		if res.StatusCode == http.StatusSwitchingProtocols {
			return errors.New("the upstream switches protocols, which nobody asked for")
		}
		setHeaders(res.Header, a.Reply.AddToResponse)
		return nil
	}
	forward.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err error) {
		h.log.Debug("no answer from the upstream", zap.String("decision", a.ID), zap.Error(err))
		deny(w, proxy.Reply{
			Status:  http.StatusBadGateway,
			Headers: []proxy.Header{{Name: proxy.HeaderDecisionID, Value: a.ID}, {Name: "content-type", Value: "application/json"}},
			Body:    `{"error":"bad_gateway","decision_id":"` + a.ID + `"}`,
		})
	}
	forward.ServeHTTP(w, r)
}

// rewrite makes the upstream's request: the bytes of the target that was checked, and
// the headers that the answer says.
func (h *Handler) rewrite(pr *httputil.ProxyRequest, reply proxy.Reply) {
	out := pr.Out
	path, query, hasQuery := strings.Cut(pr.In.RequestURI, "?")
	query = rewriteQuery(query, reply)
	// Opaque is written as it is. Path and RawPath would be, but for some bytes.
	out.URL = &url.URL{Scheme: h.upstream.Scheme, Host: h.upstream.Host, Opaque: path, RawQuery: query, ForceQuery: hasQuery && query == ""}
	out.Host = pr.In.Host // the one that was checked
	out.Trailer = nil     // nobody has checked what comes after the body

	for name := range out.Header {
		// Who the client says that it speaks for. The standard proxy takes out some.
		if strings.HasPrefix(strings.ReplaceAll(strings.ToLower(name), "_", "-"), "x-forwarded-") {
			delete(out.Header, name)
		}
	}
	pr.SetXForwarded()
	for _, name := range reply.RemoveHeaders {
		remove(out.Header, name)
	}
	setHeaders(out.Header, reply.SetHeaders)
}

// setHeaders replaces or appends, whatever the case of what is there.
func setHeaders(headers http.Header, list []proxy.Header) {
	for _, h := range list {
		if !h.Append {
			remove(headers, h.Name)
		}
		headers.Add(h.Name, h.Value)
	}
}

func remove(headers http.Header, name string) {
	for there := range headers {
		if strings.EqualFold(there, name) {
			delete(headers, there)
		}
	}
}

// rewriteQuery takes parameters out and adds others, and leaves the rest as it was
// sent.
func rewriteQuery(raw string, reply proxy.Reply) string {
	if len(reply.RemoveQuery) == 0 && len(reply.SetQuery) == 0 {
		return raw
	}
	gone := func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		return err != nil || slices.Contains(reply.RemoveQuery, name) ||
			slices.ContainsFunc(reply.SetQuery, func(p proxy.Parameter) bool { return p.Name == name })
	}
	pairs := slices.DeleteFunc(strings.Split(raw, "&"), func(pair string) bool { return pair == "" || gone(pair) })
	for _, p := range reply.SetQuery {
		if !slices.Contains(reply.RemoveQuery, p.Name) {
			pairs = append(pairs, url.QueryEscape(p.Name)+"="+url.QueryEscape(p.Value))
		}
	}
	return strings.Join(pairs, "&")
}

// deny writes a denial. A reply that holds none is a plain 403.
func deny(w http.ResponseWriter, r proxy.Reply) {
	setHeaders(w.Header(), r.Headers)
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8") // never guessed from a policy's words
	}
	status := r.Status
	if status < 300 || status > 599 {
		status = http.StatusForbidden
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(r.Body)) // a client that is gone needs no answer
}

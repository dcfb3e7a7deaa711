package identity_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rolegate/rolegate/proxy/identity/issue"
	"github.com/rolegate/rolegate/proxy/identity/token"
)

const hostileFile = "testdata/hostile.txt"

// hostile is requests by name. A name says what is wrong; those that begin with
// "good" must pass, and no other.
type hostile struct {
	t        *testing.T
	w        *world
	requests map[string]headers
}

// TestHostile sends every request and compares the words with a file that people
// read. The file cannot bless an acceptance: that is checked by the names.
func TestHostile(t *testing.T) {
	w := newWorld(t)
	h := newHostile(t, w)
	if len(h.requests) < 300 {
		t.Errorf("%d requests, want at least 300", len(h.requests))
	}

	core, logs := observer.New(zapcore.DebugLevel)
	reg := prometheus.NewRegistry()
	id := load(t, w.config(), reg, zap.New(core))
	var got strings.Builder
	for _, name := range slices.Sorted(maps.Keys(h.requests)) {
		request := h.requests[name]
		subject, err := authenticate(t, id, request)
		word := "verified"
		switch bad, ok := errors.AsType[token.Error](err); {
		case ok:
			word = string(bad)
		case err != nil:
			t.Errorf("%s: error %v is none of our words", name, err)
		case subject.ID == "":
			word = "nobody"
		}
		fmt.Fprintf(&got, "%-56s %s\n", name, word)
		if good := strings.HasPrefix(name, "good"); good != (word == "verified") {
			t.Errorf("%s: got %s, want it verified: %v\nrequest: %.300q", name, word, good, request)
		}
		if err != nil && (subject.ID != "" || subject.Claims != nil) {
			t.Errorf("%s: got subject %v beside error %v", name, subject, err)
		}
		if err != nil {
			checkTellsNothing(t, name+": the error", err.Error(), request)
		}
		again, errAgain := authenticate(t, id, request)
		if !errors.Is(errAgain, err) || again.ID != subject.ID {
			t.Errorf("%s: asked again: got %v %v, want %v %v as at first", name, again.ID, errAgain, subject.ID, err)
		}
	}
	compareFile(t, hostileFile, got.String())

	said := logged(t, logs) + gathered(t, reg)
	for name, request := range h.requests {
		checkTellsNothing(t, name+": logs or metrics", said, request)
	}
}

func newHostile(t *testing.T, w *world) *hostile {
	t.Helper()
	h := &hostile{t: t, w: w, requests: map[string]headers{}}
	h.good()
	h.algorithms()
	h.confusion()
	h.kids()
	h.headerMembers()
	h.structure()
	h.headerJSON()
	h.payloadJSON()
	h.claims()
	h.signatures()
	h.places()
	return h
}

// TestHostileFetched sends the same requests where the keys are fetched: every answer is
// the same, and no token has anything fetched but the one set, and that once.
func TestHostileFetched(t *testing.T) {
	w, p := newWorld(t), newPublisher(t, false)
	var strange atomic.Int64
	published, err := issue.JWKS(w.ed, w.rsa, w.ec)
	if err != nil {
		t.Fatal(err)
	}
	p.does(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/jwks.json" {
			strange.Add(1)
		}
		_, _ = w.Write(published)
	})
	cfg := w.config()
	fetched := w.config()
	for i := range fetched.Authenticators[0].JWT.Issuers {
		if iss := &fetched.Authenticators[0].JWT.Issuers[i]; iss.JWKSFile != "" {
			iss.JWKSFile, iss.JWKSURI = "", p.URL+"/jwks.json"
		}
	}
	h := newHostile(t, w)
	for name, member := range map[string]string{
		"jku": `"jku":"` + p.URL + `/evil"`, "jku, the set itself": `"jku":"` + p.URL + `/jwks.json"`,
		"x5u": `"x5u":"` + p.URL + `/evil"`, "kid": `"kid":"` + p.URL + `/evil"`, "kid, a path": `"kid":"/evil"`,
		"kid, a query": `"kid":"?evil"`, "kid, up": `"kid":"../evil"`, "iss": `"kid":"x","iss":"` + p.URL + `/evil"`,
	} {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		h.token("fetched: brings "+name, signAs(t, `{"alg":"EdDSA",`+member+`}`, h.payload(nil), "EdDSA", private))
	}
	files, remote := load(t, cfg, nil, zap.NewNop()), load(t, fetched, nil, zap.NewNop())
	run(t, remote)
	for _, name := range slices.Sorted(maps.Keys(h.requests)) {
		want, wantErr := authenticate(t, files, h.requests[name])
		got, err := authenticate(t, remote, h.requests[name])
		if !errors.Is(err, wantErr) || !sameSubject(got, want) {
			t.Errorf("%s: got %v %v where keys are fetched, want %v %v as from a file", name, got, err, want, wantErr)
		}
		if strings.HasPrefix(name, "fetched:") && err == nil {
			t.Errorf("%s: got %v, want it refused", name, got)
		}
	}
	if n := strange.Load(); n != 0 {
		t.Errorf("tokens had %d other addresses fetched", n)
	}
	if n := p.fetches.Load(); n > 3 { // at the start, at the first unknown key, and once more ten seconds later
		t.Errorf("%d hostile requests had the set fetched %d times", len(h.requests), n)
	}
}

func compareFile(t *testing.T, path, got string) {
	t.Helper()
	if updating() {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil { //nolint:gosec // a test file
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-want +got), -update rewrites it:\n%s", path, diff)
	}
}

// checkTellsNothing looks for any part of the request's credentials in text.
func checkTellsNothing(t *testing.T, what, text string, request headers) {
	t.Helper()
	const shortest = 8 // shorter parts are in any text
	for _, values := range request {
		for part := range strings.FieldsFuncSeq(strings.Join(values, " "), func(r rune) bool {
			return strings.ContainsRune(". ,;=\r\n\t", r)
		}) {
			if len(part) >= shortest && strings.Contains(text, part) {
				t.Errorf("%s tells %.40q of the credential:\n%.400s", what, part, text)
			}
		}
	}
	for _, secret := range []string{"u@acme.com", "u-17", secretText} {
		if strings.Contains(text, secret) {
			t.Errorf("%s tells %q", what, secret)
		}
	}
}

func logged(t *testing.T, logs *observer.ObservedLogs) string {
	t.Helper()
	var b strings.Builder
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	for _, e := range logs.All() {
		line, err := encoder.EncodeEntry(e.Entry, e.Context)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(line.Bytes())
	}
	return b.String()
}

func gathered(t *testing.T, reg *prometheus.Registry) string {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range families {
		b.WriteString(f.String() + "\n")
	}
	return b.String()
}

func (h *hostile) request(name string, request headers) {
	h.t.Helper()
	if _, twice := h.requests[name]; twice {
		h.t.Fatalf("%q names two requests", name)
	}
	h.requests[name] = request
}

func (h *hostile) token(name, text string) {
	h.t.Helper()
	h.request(name, bearer(text))
}

// header is a token of the Ed25519 key with a header that is written here; KID
// stands for the key's name.
func (h *hostile) header(name, header string) {
	h.t.Helper()
	h.token(name, signAs(h.t, strings.ReplaceAll(header, "KID", h.w.ed.ID()), h.payload(nil), "EdDSA", h.w.edPriv))
}

// raw is a well signed token whose payload is written here.
func (h *hostile) raw(name, payload string) {
	h.t.Helper()
	h.token(name, signAs(h.t, h.edHeader(), payload, "EdDSA", h.w.edPriv))
}

func (h *hostile) edHeader() string { return `{"alg":"EdDSA","kid":"` + h.w.ed.ID() + `"}` }

func (h *hostile) payload(changed map[string]any) string {
	doc, err := json.Marshal(payload(issuerURL, changed))
	if err != nil {
		h.t.Fatal(err)
	}
	return string(doc)
}

func (h *hostile) good() {
	for name, k := range map[string]*issue.Key{"EdDSA": h.w.ed, "RS256": h.w.rsa, "ES256": h.w.ec} {
		h.token("good: "+name, mustSign(h.t, k, payload(issuerURL, nil)))
		h.token("good: "+name+", minimal", mustSign(h.t, k, map[string]any{
			"iss": issuerURL, "sub": "u-17", "aud": []string{"nobody", audience}, "exp": 0,
		}))
	}
	h.token("good: PEM, the kid is not consulted", signAs(h.t, `{"alg":"EdDSA","kid":"any","typ":"AT+JWT"}`,
		strings.ReplaceAll(h.payload(nil), issuerURL, pemURL), "EdDSA", h.w.edPriv))
	h.token("good: HS256", signAs(h.t, `{"alg":"HS256"}`, strings.ReplaceAll(h.payload(nil), issuerURL, secretURL), "HS256", []byte(secretText)))
	h.raw("good: expired, for the policy to say", h.payload(map[string]any{"exp": 1}))
	h.raw("good: not yet valid, for the policy to say", h.payload(map[string]any{"nbf": longTimeOff}))
	h.raw("good: fractions of seconds", strings.ReplaceAll(h.payload(nil), "4102444800", "4102444799.9995e0"))
	h.raw("good: nulls are absent", strings.ReplaceAll(h.payload(nil), `"tenant":"acme"`, `"tenant":null`))
	h.header("good: jku and the like are ignored",
		`{"alg":"EdDSA","kid":"KID","jku":"https://evil.example/","x5u":"https://evil.example/","x5t":"AAAA","typ":"at+jwt","cty":"x"}`)
	text := mustSign(h.t, h.w.ed, payload(issuerURL, nil))
	h.request("good: scheme in capitals, more spaces", headers{"authorization": {"BEARER   " + text + " "}})
	h.request("good: another scheme's list beside no token of ours",
		headers{"authorization": {`Digest a="b", c="d"`}, headerName: {mustSign(h.t, h.w.ed, payload(headerURL, nil))}})
	cookie := mustSign(h.t, h.w.ed, payload(cookieURL, nil))
	h.request("good: cookie", headers{"cookie": {"a=b; session=" + cookie + "; c=d"}})
	h.request("good: cookie in one of several headers", headers{"cookie": {"a=b", "session=" + cookie}})
	h.request("good: cookie, another one's name ends so", headers{"cookie": {"xsession=1; session=" + cookie}})
	h.request("good: query", headers{":path": {"/v1?a=b&access_token=" + mustSign(h.t, h.w.ed, payload(queryURL, nil)) + "&c"}})
}

func (h *hostile) algorithms() {
	for i, alg := range []string{
		`"none"`, `"None"`, `"NONE"`, `"nOnE"`, `""`, `null`, `0`, `["EdDSA"]`, `{"alg":"EdDSA"}`, `true`,
		`"eddsa"`, `"EDDSA"`, `"EdDSA "`, `" EdDSA"`, `"EdDSA\u0000"`, `"Ed25519"`, `"Ed448"`, `"ES256K"`, `"HS256"`, `"HS384"`, `"HS512"`,
		`"RS1"`, `"dir"`, `"A128KW"`, `"RSA-OAEP"`, `"RSA1_5"`, `"PS256"`, `"RS256"`, `"ES256"`, `"unknown"`,
	} {
		h.header(fmt.Sprintf("alg %02d %s", i, alg), `{"alg":`+alg+`,"kid":"KID"}`)
	}
	h.header("alg missing", `{"kid":"KID"}`)
	unsigned := b64(`{"alg":"none"}`) + "." + b64(h.payload(nil)) + "."
	h.token("alg none, no signature", unsigned)
	h.token("alg none, any signature", unsigned+b64("x"))
	h.token("alg EdDSA, no signature", b64(h.edHeader())+"."+b64(h.payload(nil))+".")
}

// confusion tries every algorithm with every key's name, signed by whatever key
// takes the algorithm; and public keys as secrets.
func (h *hostile) confusion() {
	kids := map[string]*issue.Key{"EdDSA": h.w.ed, "RS256": h.w.rsa, "ES256": h.w.ec}
	signers := map[string]any{
		"EdDSA": h.w.edPriv, "ES256": h.w.ecPriv, "HS256": []byte(secretText), "HS384": []byte(secretText), "HS512": []byte(secretText),
		"RS256": h.w.rsaPriv, "RS384": h.w.rsaPriv, "RS512": h.w.rsaPriv, "PS256": h.w.rsaPriv, "PS384": h.w.rsaPriv, "PS512": h.w.rsaPriv,
	}
	for alg, signer := range signers {
		for own, k := range kids {
			if alg == own {
				continue
			}
			header := fmt.Sprintf(`{"alg":%q,"kid":%q}`, alg, k.ID())
			h.token("confusion: "+alg+" with the kid of "+own, signAs(h.t, header, h.payload(nil), alg, signer))
		}
	}

	for own, k := range kids {
		for name, secret := range h.publicForms(k) {
			for _, alg := range []string{"HS256", "HS384", "HS512"} {
				header := fmt.Sprintf(`{"alg":%q,"kid":%q}`, alg, k.ID())
				h.token("confusion: "+alg+" over "+own+" public key as "+name, signAs(h.t, header, h.payload(nil), alg, secret))
			}
		}
	}
	claims := strings.ReplaceAll(h.payload(nil), issuerURL, secretURL)
	for alg, signer := range signers {
		if alg != "HS256" {
			h.token("confusion: "+alg+" for the issuer with a secret", signAs(h.t, `{"alg":"`+alg+`"}`, claims, alg, signer))
		}
	}
	h.token("confusion: HS256 with an empty secret", signAs(h.t, `{"alg":"HS256"}`, claims, "HS256", []byte("\x00")))
	h.token("confusion: HS256 with the secret's line end", signAs(h.t, `{"alg":"HS256"}`, claims, "HS256", []byte(secretText+"\n")))
	pemClaims := strings.ReplaceAll(h.payload(nil), issuerURL, pemURL)
	for name, secret := range h.publicForms(h.w.ed) {
		h.token("confusion: HS256 over the PEM issuer's key as "+name, signAs(h.t, `{"alg":"HS256"}`, pemClaims, "HS256", secret))
	}
	h.token("confusion: PEM issuer, token of the RSA key", signAs(h.t, `{"alg":"RS256"}`, pemClaims, "RS256", h.w.rsaPriv))
}

// publicForms is the ways in which a public key may be taken for bytes.
func (h *hostile) publicForms(k *issue.Key) map[string][]byte {
	text, err := k.PublicPEM()
	if err != nil {
		h.t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	jwks, err := issue.JWKS(k)
	if err != nil {
		h.t.Fatal(err)
	}
	return map[string][]byte{
		"PEM": text, "PEM without line end": bytes.TrimSpace(text), "DER": block.Bytes, "JWKS": jwks,
		"base64": []byte(base64.StdEncoding.EncodeToString(block.Bytes)),
	}
}

func (h *hostile) kids() {
	for i, kid := range []string{
		`""`, `null`, `1`, `["KID"]`, `{"kid":"KID"}`, `true`,
		`"../../../../etc/passwd"`, `"/dev/null"`, `"file:///dev/null"`, `"https://evil.example/key"`, `"C:\\keys\\a"`,
		`"jwks.json"`, `"ed.pem"`, `"secret"`, `"KID "`, `" KID"`, `"KID\u0000"`, `"KID/../KID"`, `"%4bID"`,
		`"' OR 1=1 --"`, `"x' UNION SELECT 'key"`, `"$(id)"`, `"; sleep 9"`, `"*"`, `".*"`, `"0"`, `"\ud83d\ude00"`,
		`"` + strings.Repeat("k", 4000) + `"`,
	} {
		h.header(fmt.Sprintf("kid %02d %.30s", i, kid), `{"alg":"EdDSA","kid":`+kid+`}`)
	}
	h.header("kid missing among several keys", `{"alg":"EdDSA"}`)
	h.header("kid in another case", `{"alg":"EdDSA","kid":"`+strings.ToUpper(h.w.ed.ID())+`"}`)
	h.header("kid under another name", `{"alg":"EdDSA","KID":"`+h.w.ed.ID()+`"}`)
}

// headerMembers brings keys along: of an attacker, under every name there is.
func (h *hostile) headerMembers() {
	attacker, err := issue.NewKey()
	if err != nil {
		h.t.Fatal(err)
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	jwk := `{"kty":"OKP","crv":"Ed25519","x":"` + b64(string(private[32:])) + `"}`
	for name, member := range map[string]string{
		"jwk":      `"jwk":` + jwk,
		"jwks":     `"jwks":{"keys":[` + jwk + `]}`,
		"jku":      `"jku":"https://evil.example/jwks.json"`,
		"jku file": `"jku":"file:///tmp/jwks.json"`,
		"x5u":      `"x5u":"https://evil.example/cert.pem"`,
		"x5c":      `"x5c":["` + base64.StdEncoding.EncodeToString(private[32:]) + `"]`,
		"x5t":      `"x5t":"AAAA"`,
		"epk":      `"epk":` + jwk,
	} {
		for kid, id := range map[string]string{"ours": h.w.ed.ID(), "its own": attacker.ID()} {
			header := `{"alg":"EdDSA","kid":"` + id + `",` + member + `}`
			h.token("brings "+name+", kid "+kid, signAs(h.t, header, h.payload(nil), "EdDSA", private))
		}
		h.token("brings "+name+", no kid", signAs(h.t, `{"alg":"EdDSA",`+member+`}`, h.payload(nil), "EdDSA", private))
	}
	for i, member := range []string{
		`"crit":["exp"]`, `"crit":["b64"],"b64":false`, `"crit":["b64"],"b64":true`, `"crit":[]`, `"crit":null`, `"crit":"exp"`, `"crit":["alg"]`,
		`"crit":["http://example/unknown"],"http://example/unknown":true`, `"b64":false`, `"b64":true`,
	} {
		h.header(fmt.Sprintf("critical %02d %s", i, member), `{"alg":"EdDSA","kid":"KID",`+member+`}`)
	}
	for _, member := range []string{`"enc":"A128GCM"`, `"zip":"DEF"`, `"enc":null`} {
		h.header("encrypted "+member, `{"alg":"EdDSA","kid":"KID",`+member+`}`)
	}
	pemClaims := strings.ReplaceAll(h.payload(nil), issuerURL, pemURL)
	for _, typ := range []string{`"JWT"`, `""`, `"at+jwt "`, `"application/at+jwt"`} {
		h.token("typ "+typ+" where at+jwt is asked for", signAs(h.t, `{"alg":"EdDSA","typ":`+typ+`}`, pemClaims, "EdDSA", h.w.edPriv))
	}
	h.token("typ missing where at+jwt is asked for", signAs(h.t, `{"alg":"EdDSA"}`, pemClaims, "EdDSA", h.w.edPriv))
	h.header("typ is a number", `{"alg":"EdDSA","kid":"KID","typ":1}`)
	h.header("typ is null", `{"alg":"EdDSA","kid":"KID","typ":null}`)
}

func (h *hostile) structure() {
	text := mustSign(h.t, h.w.ed, payload(issuerURL, nil))
	parts := strings.Split(text, ".")
	head, body, sig := parts[0], parts[1], parts[2]
	for name, text := range map[string]string{
		"empty":                       "",
		"no dot":                      head,
		"one dot":                     head + "." + body,
		"three dots":                  text + ".",
		"three dots, more":            text + "." + sig,
		"five parts":                  text + "." + sig + "." + sig,
		"six parts":                   text + ".x.y.z",
		"only dots, two":              "..",
		"only dots, four":             "....",
		"many dots":                   strings.Repeat(".", 8000),
		"dot in front":                "." + text,
		"no header":                   "." + body + "." + sig,
		"no payload":                  head + ".." + sig,
		"no signature":                head + "." + body + ".",
		"parts turned":                sig + "." + body + "." + head,
		"header twice":                head + "." + head + "." + sig,
		"payload of another token":    head + "." + b64(h.payload(map[string]any{"sub": "root"})) + "." + sig,
		"padding":                     head + "." + body + "." + sig + "==",
		"padding in the header":       head + "=." + body + "." + sig,
		"plus and slash":              head + "." + body + "." + "+/" + sig[2:],
		"space inside":                head + " ." + body + "." + sig,
		"space in the payload":        head + "." + body[:9] + " " + body[9:] + "." + sig,
		"line break in the header":    head[:5] + "\n" + head[5:] + "." + body + "." + sig,
		"CRLF in the payload":         head + "." + body[:9] + "\r\n" + body[9:] + "." + sig,
		"line break at the end":       text + "\n",
		"line break in the signature": head + "." + body + "." + sig[:9] + "\n" + sig[9:],
		"NUL at the end":              text + "\x00",
		"NUL inside":                  head + "\x00." + body + "." + sig,
		"BOM in front":                "\ufeff" + text,
		"quoted":                      `"` + text + `"`,
		"percent encoded":             strings.ReplaceAll(text, ".", "%2e"),
		"fullwidth dots":              strings.ReplaceAll(text, ".", "．"),
		"JSON serialization":          `{"payload":"` + body + `","protected":"` + head + `","signature":"` + sig + `"}`,
		"scheme twice":                "Bearer " + text,
		"token twice":                 text + text,
		"token twice, space":          text + " " + text,
		"last bits of the header":     head[:len(head)-1] + nextChar(head) + "." + body + "." + sig,
		"last bits of the signature":  text[:len(text)-1] + nextChar(text),
		"truncated by one":            text[:len(text)-1],
		"8 KiB and one":               text + strings.Repeat("A", token.MaxSize+1-len(text)),
		"a megabyte":                  text + strings.Repeat("A", 1<<20),
		"nested token as payload":     head + "." + b64(text) + "." + sig,
		"base64 of base64":            b64(head) + "." + b64(body) + "." + b64(sig),
	} {
		h.token("structure: "+name, text)
	}
	large := signAs(h.t, h.edHeader(), h.payload(map[string]any{"x": strings.Repeat("y", token.MaxSize)}), "EdDSA", h.w.edPriv)
	h.token("structure: well signed, but too large", large)
}

// nextChar is another character that a careless decoder reads like the last one of
// text: the bits that differ are beyond the last byte.
func nextChar(text string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, text[len(text)-1])^1])
}

func (h *hostile) headerJSON() {
	for name, header := range map[string]string{
		"not JSON":                  `alg=EdDSA`,
		"empty":                     ` `,
		"a list":                    `[{"alg":"EdDSA","kid":"KID"}]`,
		"a string":                  `"EdDSA"`,
		"null":                      `null`,
		"two objects":               `{"alg":"EdDSA","kid":"KID"}{}`,
		"text after":                `{"alg":"EdDSA","kid":"KID"}x`,
		"comma at the end":          `{"alg":"EdDSA","kid":"KID",}`,
		"a comment":                 `{"alg":"EdDSA",/**/"kid":"KID"}`,
		"single quotes":             `{'alg':'EdDSA','kid':'KID'}`,
		"alg twice":                 `{"alg":"EdDSA","alg":"EdDSA","kid":"KID"}`,
		"alg twice, none first":     `{"alg":"none","alg":"EdDSA","kid":"KID"}`,
		"alg twice, none last":      `{"alg":"EdDSA","kid":"KID","alg":"none"}`,
		"alg twice, escaped":        `{"alg":"EdDSA","\u0061lg":"none","kid":"KID"}`,
		"alg twice, other case":     `{"Alg":"EdDSA","kid":"KID"}`,
		"kid twice":                 `{"alg":"EdDSA","kid":"KID","kid":"KID"}`,
		"crit hidden in a twin":     `{"alg":"EdDSA","kid":"KID","x":1,"x":{"crit":["a"]}}`,
		"a name twice, deep inside": `{"alg":"EdDSA","kid":"KID","x":{"y":{"z":1,"z":1}}}`,
		"invalid UTF-8":             "{\"alg\":\"EdDSA\",\"kid\":\"KID\",\"x\":\"\xff\"}",
		"half a surrogate pair":     `{"alg":"EdDSA","kid":"KID","x":"\ud800"}`,
		"control character":         "{\"alg\":\"EdDSA\",\"kid\":\"KID\",\"x\":\"\x01\"}",
		"too deep":                  `{"alg":"EdDSA","kid":"KID","x":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`,
		"much too deep":             `{"alg":"EdDSA","kid":"KID","x":` + strings.Repeat(`{"a":`, 800) + "1" + strings.Repeat("}", 800) + `}`,
		"endless":                   `{"alg":"EdDSA","kid":"KID","x":` + strings.Repeat("[", 4000),
		"number beyond use":         `{"alg":"EdDSA","kid":"KID","x":1e99999}`,
		"UTF-16":                    "{\x00\"\x00a\x00l\x00g\x00\"\x00",
		"BOM":                       "\ufeff" + `{"alg":"EdDSA","kid":"KID"}`,
	} {
		h.header("header: "+name, header)
	}
}

func (h *hostile) payloadJSON() {
	good := h.payload(nil)
	for _, name := range []string{"iss", "sub", "aud", "exp", "nbf", "jti", "tenant", "email", "roles", "permissions", "sso"} {
		twin := `"` + name + `":"x",`
		h.raw("payload: "+name+" twice, other first", "{"+twin+good[1:])
		h.raw("payload: "+name+" twice, other last", good[:len(good)-1]+","+strings.TrimSuffix(twin, ",")+"}")
	}
	for name, doc := range map[string]string{
		"not JSON":           "hello",
		"empty":              "",
		"a list":             "[" + good + "]",
		"a string":           `"` + b64(good) + `"`,
		"null":               "null",
		"two objects":        good + good,
		"text after":         good + "x",
		"NUL after":          good + "\x00",
		"truncated":          good[:len(good)-1],
		"exp twice, escaped": `{"\u0065xp":1,` + good[1:],
		"sub twice, deep":    `{"x":[{"sub":1,"sub":2}],` + good[1:],
		"invalid UTF-8":      "{\"x\":\"\xc3\x28\"," + good[1:],
		"overlong UTF-8":     "{\"x\":\"\xc0\xaf\"," + good[1:],
		"half a surrogate":   `{"x":"\udfff",` + good[1:],
		"too deep":           `{"x":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + "," + good[1:],
		"much too deep":      `{"x":` + strings.Repeat("[", 2500) + strings.Repeat("]", 2500) + "," + good[1:],
		"number beyond use":  `{"x":1e1000000000,` + good[1:],
		"number too long":    `{"x":` + strings.Repeat("9", 500) + "," + good[1:],
	} {
		h.raw("payload: "+name, doc)
	}
}

func (h *hostile) claims() {
	values := map[string][]string{
		"iss": {
			`1`, `["` + issuerURL + `"]`, `{}`, `true`, `""`, `"` + issuerURL + `/"`, `"` + strings.ToUpper(issuerURL) + `"`,
			`" ` + issuerURL + `"`, `"` + issuerURL + `\u0000"`, `"http://idp.example"`, `"https://idp.example.evil.example"`, `"https://idp.example#"`,
			`"` + cookieURL + `"`, `"` + headerURL + `"`,
		},
		"aud":            {`""`, `"Shop"`, `"shop "`, `"shopping"`, `"sho"`, `[]`, `["x"]`, `[["shop"]]`, `{"shop":true}`, `1`, `true`, `["shop",1]`, `[null,"shop"]`, `"other,shop"`, `"*"`},
		"exp":            {`"4102444800"`, `""`, `true`, `[]`, `{}`, `[4102444800]`, `-1`, `-0.5`, `253402300800`, `4102444800000`, `1e300`, `9223372036854775808`, `18446744073709551615`, `1e18`},
		"nbf":            {`"0"`, `""`, `true`, `[]`, `{}`, `-1`, `253402300800`, `1e300`, `9223372036854775808`},
		"sub":            {`""`, `1`, `true`, `[]`, `["u-17"]`, `{"id":"u-17"}`, `"u-17\u0000"`, `"u-17\r\nx-role: admin"`, `"\u0085"`, `"\u007f"`},
		"jti":            {`1`, `true`, `["t-1"]`, `{}`},
		"tenant":         {`1`, `true`, `["acme"]`, `{"id":"acme"}`},
		"email":          {`1`, `true`, `["u@acme.com"]`, `{}`},
		"email_verified": {`1`, `0`, `"yes"`, `"True"`, `""`, `[true]`, `{}`},
		"roles":          {`1`, `true`, `{"developer":true}`, `[1]`, `[null]`, `[["developer"]]`, `["developer",{}]`},
		"permissions":    {`1`, `true`, `{"a":"b"}`, `[1]`, `[null]`, `[["a:b"]]`},
		"sso":            {`1`, `true`, `"okta"`, `[]`, `["okta"]`, `{"okta":1}`, `{"okta":[]}`, `{"okta":"eng"}`, `{"okta":{"groups":1}}`, `{"okta":{"groups":[1]}}`, `{"okta":{"roles":{}}}`},
		"kind":           {`"admin"`, `""`, `1`, `["user"]`, `"User"`, `"*"`},
	}
	for claim, list := range values {
		for i, v := range list {
			h.raw(fmt.Sprintf("claim: %s %02d %.40s", claim, i, v), h.payload(map[string]any{claim: json.RawMessage(v)}))
		}
	}
	for _, claim := range []string{"iss", "aud", "exp", "sub"} {
		h.raw("claim: "+claim+" missing", h.payload(map[string]any{claim: nil}))
		h.raw("claim: "+claim+" null", h.payload(map[string]any{claim: json.RawMessage("null")}))
		h.raw("claim: "+claim+" under another name", h.payload(map[string]any{claim: nil, strings.ToUpper(claim): "x"}))
	}
}

func (h *hostile) signatures() {
	good := map[string]string{
		"EdDSA": mustSign(h.t, h.w.ed, payload(issuerURL, nil)),
		"RS256": mustSign(h.t, h.w.rsa, payload(issuerURL, nil)),
		"ES256": mustSign(h.t, h.w.ec, payload(issuerURL, nil)),
	}
	for alg, text := range good {
		at := strings.LastIndexByte(text, '.') + 1
		raw, err := base64.RawURLEncoding.DecodeString(text[at:])
		if err != nil {
			h.t.Fatal(err)
		}
		replace := func(name string, signature []byte) {
			h.token("signature: "+alg+" "+name, text[:at]+b64(string(signature)))
		}
		replace("one byte", raw[:1])
		replace("one byte less", raw[:len(raw)-1])
		replace("one byte more", append(slices.Clone(raw), 0))
		replace("one byte in front", append([]byte{0}, raw...))
		replace("zeros", make([]byte, len(raw)))
		replace("ones", bytes.Repeat([]byte{0xff}, len(raw)))
		replace("halves turned", append(slices.Clone(raw[len(raw)/2:]), raw[:len(raw)/2]...))
		replace("twice", append(slices.Clone(raw), raw...))
		replace("is a hash", func() []byte { sum := sha256.Sum256([]byte(text[:at-1])); return sum[:] }())
		other := mustSign(h.t, h.keyOf(alg), payload(issuerURL, map[string]any{"sub": "u-18"}))
		h.token("signature: "+alg+" of another token", text[:at]+other[strings.LastIndexByte(other, '.')+1:])
		for from, foreign := range good {
			if from != alg {
				h.token("signature: "+alg+" header, signature by "+from, text[:at]+foreign[strings.LastIndexByte(foreign, '.')+1:])
			}
		}
	}
	h.curve(good["ES256"])

	// S + L is the same point to careless verifiers of Ed25519.
	text := good["EdDSA"]
	at := strings.LastIndexByte(text, '.') + 1
	raw, err := base64.RawURLEncoding.DecodeString(text[at:])
	if err != nil {
		h.t.Fatal(err)
	}
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	slices.Reverse(raw[32:])
	s := new(big.Int).SetBytes(raw[32:])
	s.Add(s, order).FillBytes(raw[32:])
	slices.Reverse(raw[32:])
	h.token("signature: EdDSA S beyond the order", text[:at]+b64(string(raw)))
}

func (h *hostile) keyOf(alg string) *issue.Key {
	switch alg {
	case "RS256":
		return h.w.rsa
	case "ES256":
		return h.w.ec
	default:
		return h.w.ed
	}
}

// curve is what ECDSA alone gets wrong.
func (h *hostile) curve(text string) {
	at := strings.LastIndexByte(text, '.') + 1
	sum := sha256.Sum256([]byte(text[:at-1]))
	der, err := ecdsa.SignASN1(rand.Reader, h.w.ecPriv, sum[:])
	if err != nil {
		h.t.Fatal(err)
	}
	h.token("signature: ES256 in ASN.1", text[:at]+b64(string(der)))
	n := elliptic.P256().Params().N
	scalar := func(v *big.Int) []byte { return v.FillBytes(make([]byte, 32)) }
	one, zero := big.NewInt(1), new(big.Int)
	for name, pair := range map[string][2]*big.Int{
		"r = 0": {zero, one}, "s = 0": {one, zero}, "r = n": {n, one}, "s = n": {one, n}, "r = s = 1": {one, one},
		"r = s = n - 1": {new(big.Int).Sub(n, one), new(big.Int).Sub(n, one)},
	} {
		h.token("signature: ES256 "+name, text[:at]+b64(string(append(scalar(pair[0]), scalar(pair[1])...))))
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	header := `{"alg":"ES384","kid":"` + h.w.ec.ID() + `"}`
	h.token("signature: ES384 with the kid of ES256", signAs(h.t, header, h.payload(nil), "ES384", p384))
}

// places is more than one credential, and credentials at the wrong place.
func (h *hostile) places() {
	text := mustSign(h.t, h.w.ed, payload(issuerURL, nil))
	other := mustSign(h.t, h.w.ed, payload(issuerURL, map[string]any{"sub": "u-18"}))
	cookie := mustSign(h.t, h.w.ed, payload(cookieURL, nil))
	header := mustSign(h.t, h.w.ed, payload(headerURL, nil))
	query := mustSign(h.t, h.w.ed, payload(queryURL, nil))
	auth := func(values ...string) headers { return headers{"authorization": values} }
	for name, request := range map[string]headers{
		"nothing at all":                        {},
		"two headers":                           auth("Bearer "+text, "Bearer "+other),
		"two headers, the same":                 auth("Bearer "+text, "Bearer "+text),
		"two headers, basic first":              auth("Basic dTpw", "Bearer "+text),
		"two headers, basic last":               auth("Bearer "+text, "Basic dTpw"),
		"joined":                                auth("Bearer " + text + ",Bearer " + other),
		"joined, space":                         auth("Bearer " + text + ", Bearer " + other),
		"joined, basic first":                   auth("Basic dTpw,Bearer " + text),
		"joined, token only":                    auth("Bearer " + text + "," + other),
		"comma at the end":                      auth("Bearer " + text + ","),
		"scheme alone":                          auth("Bearer"),
		"scheme and spaces":                     auth("Bearer   "),
		"scheme and tab":                        auth("Bearer\t"),
		"scheme runs on":                        auth("Bearer" + text),
		"no scheme":                             auth(text),
		"another scheme":                        auth("Token " + text),
		"basic":                                 auth("Basic " + text),
		"quoted":                                auth(`Bearer "` + text + `"`),
		"a parameter behind":                    auth("Bearer " + text + " x=y"),
		"empty":                                 auth(""),
		"cookie's issuer in the header":         auth("Bearer " + cookie),
		"header's issuer in the bearer":         auth("Bearer " + header),
		"bearer's issuer in the cookie":         {"cookie": {"session=" + text}},
		"bearer's issuer in the header":         {headerName: {text}},
		"bearer's issuer in the query":          {":path": {"/?access_token=" + text}},
		"header twice":                          {headerName: {header, header}},
		"header joined":                         {headerName: {header + "," + header}},
		"header with a scheme":                  {headerName: {"Bearer " + header}},
		"header empty":                          {headerName: {""}},
		"cookie twice":                          {"cookie": {"session=" + cookie + "; session=" + cookie}},
		"cookie twice, other first":             {"cookie": {"session=x; session=" + cookie}},
		"cookie twice, two headers":             {"cookie": {"session=" + cookie, "session=x"}},
		"cookie joined by a comma":              {"cookie": {"a=b,session=" + cookie}},
		"cookie joined by a comma, twice":       {"cookie": {"session=" + cookie + ",session=x"}},
		"cookie with a comma behind":            {"cookie": {"session=" + cookie + ",a=b"}},
		"cookie in another case":                {"cookie": {"Session=" + cookie}},
		"cookie quoted":                         {"cookie": {`session="` + cookie + `"`}},
		"cookie empty":                          {"cookie": {"session="}},
		"query twice":                           {":path": {"/?access_token=" + query + "&access_token=" + query}},
		"query twice, name escaped":             {":path": {"/?access_token=" + query + "&%61ccess_token=x"}},
		"query badly escaped":                   {":path": {"/?access_token=%zz"}},
		"query empty":                           {":path": {"/?access_token="}},
		"query without value":                   {":path": {"/?access_token"}},
		"query in the fragment":                 {":path": {"/#?access_token=" + query}},
		"bad bearer beside a good cookie":       {"authorization": {"Bearer x.y.z"}, "cookie": {"session=" + cookie}},
		"ambiguous bearer beside a good cookie": {"authorization": {"Bearer a,Bearer b"}, "cookie": {"session=" + cookie}},
	} {
		h.request("place: "+name, request)
	}
}

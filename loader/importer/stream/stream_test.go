package stream_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/rolegate/rolegate/loader/document"
	"github.com/rolegate/rolegate/loader/importer/stream"
)

// items tells what a text holds, one item a line, and the error at its end.
func items(in io.Reader) string {
	r := stream.New(in, []string{"items", "members"})
	var out strings.Builder
	for {
		item, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out.String()
		}
		if e, ok := errors.AsType[*document.Error](err); ok {
			return out.String() + fmt.Sprintf("%s at %s\n", e.Code, e)
		}
		if err != nil {
			return out.String() + err.Error() + "\n"
		}
		word := "record"
		if item.Page {
			word = fmt.Sprintf("page of %d %s", item.Count, item.List)
		}
		fmt.Fprintf(&out, "%d:%d %s %s\n", item.Line, item.Column, word, item.Raw)
	}
}

func TestItems(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		``:   ``,
		"\n": ``,
		`{}`: "1:1 record {}\n",
		`[]`: ``,
		"[\n {\"a\": 1},\n\t{\"b\": [\"]\", {\"c\": \"\\\"}\"}]}\n]": "2:2 record {\"a\": 1}\n3:2 record {\"b\": [\"]\", {\"c\": \"\\\"}\"}]}\n",
		"{\"a\":1}\n{\"b\":2}{\"c\":3}\r\n":                          "1:1 record {\"a\":1}\n2:1 record {\"b\":2}\n2:8 record {\"c\":3}\n",
		`{"next": null, "items": [{"a":1}, {"b":2}], "total": 2}`:    "1:26 record {\"a\":1}\n1:35 record {\"b\":2}\n1:1 page of 2 items {\"next\": null, \"items\": [], \"total\": 2}\n",
		`{"items": []}`:                                "1:1 page of 0 items {\"items\": []}\n",
		`{"items": 5}`:                                 "1:1 record {\"items\": 5}\n",
		`{"a": {"items": [{"b": 1}]}}`:                 "1:1 record {\"a\": {\"items\": [{\"b\": 1}]}}\n",
		`[{"items": [{"a":1}]}, {"items": [{"b":2}]}]`: "1:13 record {\"a\":1}\n1:2 page of 1 items {\"items\": []}\n1:35 record {\"b\":2}\n1:24 page of 1 items {\"items\": []}\n",
		`{"items": [{"a":1}], "members": [{"b":2}]}`:   "1:12 record {\"a\":1}\n1:34 record {\"b\":2}\n1:1 page of 2 members {\"items\": [], \"members\": []}\n",
		`{"ä": "ü", "items": [{"a":1}]}`:               "1:22 record {\"a\":1}\n1:1 page of 1 items {\"ä\": \"ü\", \"items\": []}\n",
		`{"a": 1} x`:                                   "1:1 record {\"a\": 1}\nbad_json at 1:10: 'x' where an object or a list should be\n",
		`[{"a": 1}`:                                    "1:2 record {\"a\": 1}\ntruncated at 1:10: the file ends inside a list that begins in line 1\n",
		"[\n{\"a\": \"x":                               "truncated at 2:9: the file ends inside a value that begins in line 2\n",
		"{\"items\": [\n{\"a\": 1}, ":                  "2:1 record {\"a\": 1}\ntruncated at 2:11: the file ends inside a list that begins in line 1\n",
		"{\n\"items\": [{\"a\": 1}]":                   "2:11 record {\"a\": 1}\ntruncated at 2:20: the file ends inside an object that begins in line 1\n",
		`[{"a": 1},]`:                                  "1:2 record {\"a\": 1}\nbad_json at 1:11: ']' where what the comma announces should be\n",
		`{"a":}`:                                       "bad_json at 1:6: '}' where a value should be\n",
		`{"a" 1}`:                                      "bad_json at 1:6: '1' where `:` behind the key \"a\" should be\n",
		`{"items": [7]}`:                               "bad_json at 1:12: '7' where an object in the list items should be\n",
		"\xef\xbb\xbf{}":                               "bad_encoding at 1:1: a byte order mark stands before the document\n",
		"\xff\xfe{\x00}\x00":                           "bad_encoding at 1:1: the file is not UTF-8: it looks like UTF-16 or UTF-32\n",
		"{\x00}\x00":                                   "bad_encoding at 1:1: the file is not UTF-8: it looks like UTF-16 or UTF-32\n",
		"\x1f\x8b\x08\x00":                             "bad_encoding at 1:1: the file is compressed\n",
		"é":                                            "bad_json at 1:1: a character that is not ASCII where an object or a list should be\n",
	} {
		if diff := cmp.Diff(want, items(strings.NewReader(text))); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
		if diff := cmp.Diff(want, items(iotest.OneByteReader(strings.NewReader(text)))); diff != "" {
			t.Errorf("%q in single bytes (-want +got):\n%s", text, diff)
		}
	}
}

func TestARecordIsBounded(t *testing.T) {
	t.Parallel()
	const want = "record_too_large at 2:7: a record of more than 67108864 bytes\n"
	in := io.MultiReader(strings.NewReader("[\n{\"a\": \""), endless('x'))
	if got := items(in); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// endless is one byte, again and again.
type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

func TestTheFileMayFail(t *testing.T) {
	t.Parallel()
	const want = "1:2 record {}\nthe disk is on fire\n"
	in := io.MultiReader(strings.NewReader("[{}"), iotest.ErrReader(errors.New("the disk is on fire")))
	if got := items(in); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// What is valid JSON of objects is split into exactly its objects, and what is not
// never is read to its end without an error.
func FuzzItems(f *testing.F) {
	for _, seed := range []string{
		`[{"a": 1}, {"b": [2]}]`, `{"items": [{"a": 1}], "next": "x"}`, "{\"a\":1}\n{\"b\":2}", `{"a": "\u0041\""}`, `{"items": [`,
		`[{"items":[{}]},{}]`, `{"items":[],"items":[{}]}`, `{"it\u0065ms":[{}]}`, "{\"a\":\"\xff\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r := stream.New(bytes.NewReader(text), []string{"items"})
		count, pages := 0, 0
		sound := true
		for {
			item, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				if e, ok := errors.AsType[*document.Error](err); !ok || e.Line < 1 || e.Column < 1 {
					t.Fatalf("an error without a place: %v", err)
				}
				if whole(text) {
					t.Fatalf("refused JSON of objects: %v", err)
				}
				return
			}
			sound = sound && json.Valid(item.Raw)
			if item.Line < 1 || item.Column < 1 || len(item.Raw) < 2 || item.Raw[0] != '{' {
				t.Fatalf("an item that is none: %+v %q", item, item.Raw)
			}
			if item.Page {
				pages++
				continue
			}
			count++
		}
		if sound && !sequence(text) {
			t.Fatalf("%d records and %d pages of what is not JSON: %q", count, pages, text)
		}
	})
}

// sequence says whether a text is JSON documents one after the other.
func sequence(text []byte) bool {
	d := json.NewDecoder(bytes.NewReader(text))
	for {
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

// whole says whether a text is one list of objects without lists in them.
func whole(text []byte) bool {
	var list []map[string]string
	return len(text) > 0 && text[0] == '[' && json.Unmarshal(text, &list) == nil && !bytes.Contains(text, []byte("null"))
}

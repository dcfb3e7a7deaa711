package archive_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolegate/rolegate/loader/archive"
)

// entry is a header and its content.
type entry struct {
	tar.Header
	content string
}

func file(name, content string) entry {
	return entry{Header: tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o644}, content: content}
}

func special(typeflag byte, name, target string) entry {
	return entry{Header: tar.Header{Typeflag: typeflag, Name: name, Linkname: target, Mode: 0o644}}
}

func tarOf(tb testing.TB, entries ...entry) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if err := w.WriteHeader(&e.Header); err != nil {
			tb.Fatal(err)
		}
		if _, err := io.WriteString(w, e.content); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func gzipOf(tb testing.TB, content []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func packed(tb testing.TB, entries ...entry) []byte {
	tb.Helper()
	return gzipOf(tb, tarOf(tb, entries...))
}

func TestReadsWhatBuildersWrite(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		entries []entry
	}{
		{"plain", []entry{file(".manifest", "{}"), file("authz/deny.rego", "package authz")}},
		{"opa build", []entry{file("/.manifest", "{}"), file("/authz/deny.rego", "package authz")}},
		{"tar czf x.tar.gz .", []entry{
			special(tar.TypeDir, "./", ""), file("./.manifest", "{}"),
			special(tar.TypeDir, "./authz/", ""), file("./authz/deny.rego", "package authz"),
		}},
		{"git archive", []entry{
			{Header: tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": "abc"}}},
			file(".manifest", "{}"), file("authz/deny.rego", "package authz"),
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := archive.Read(packed(t, c.entries...), archive.Limits{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			want := []archive.File{{Name: ".manifest", Data: []byte("{}")}, {Name: "authz/deny.rego", Data: []byte("package authz")}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Read (-want +got):\n%s", diff)
			}
		})
	}
}

func TestForgetsWhatIsNotWanted(t *testing.T) {
	t.Parallel()
	got, err := archive.Read(packed(t, file("README.md", "read me"), file("data.json", "{}")), archive.Limits{},
		func(name string) bool { return name == "data.json" })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]archive.File{{Name: "data.json", Data: []byte("{}")}}, got); diff != "" {
		t.Errorf("Read (-want +got):\n%s", diff)
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	good := packed(t, file("data.json", "{}"))
	rawTar := tarOf(t, file("data.json", "{}"))
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"an empty file", nil, "gzip: it is cut off"},
		{"no gzip", []byte("PK\x03\x04 and so on"), "gzip: gzip: invalid header"},
		{"a checksum that is wrong", flipped(good, len(good)-8), "gzip: gzip: invalid checksum"},
		{"a length that is wrong", flipped(good, len(good)-4), "gzip: gzip: invalid checksum"},
		{"the last eight bytes missing", good[:len(good)-8], "gzip: it is cut off"},
		{"half of it missing", good[:len(good)/2], "tar: it is cut off"},
		{"bytes behind it", append(bytes.Clone(good), "trailing"...), "8 bytes stand behind the end of the gzip member"},
		{"two archives in a row", append(bytes.Clone(good), good...), "bytes stand behind the end of the gzip member"},
		{"no entries", packed(t), "it holds no file"},
		{"only a folder", packed(t, special(tar.TypeDir, "authz/", "")), "it holds no file"},
		{"no tar", gzipOf(t, []byte(strings.Repeat("no tar", 200))), "tar: archive/tar: invalid tar header"},
		{"no end marker", gzipOf(t, rawTar[:1024]), "tar: it has no end marker"},
		{"half an end marker", gzipOf(t, rawTar[:1536]), "tar: it has no end marker"},
		{"content of zeros and no end marker", gzipOf(t, tarOf(t, file("data.json", strings.Repeat("\x00", 2048)))[:512+2048]), "tar: it has no end marker"},
		{"a tar behind the end marker", gzipOf(t, append(bytes.Clone(rawTar), rawTar...)), "something stands behind the tar's end marker"},
		{"a tar cut inside a file", gzipOf(t, tarOf(t, file("data.json", strings.Repeat("x", 4096)))[:2048]), `"data.json": it is cut off`},
		{"a name that climbs", packed(t, file("../../evil.rego", "package evil")), `"../../evil.rego" is not the name of a file inside the bundle`},
		{"a name that climbs from inside", packed(t, file("a/../../evil.rego", "package evil")), `"a/../../evil.rego" is not the name of a file inside the bundle`},
		{"a name that is not clean", packed(t, file("a//data.json", "{}")), `"a//data.json" is not the name of a file inside the bundle`},
		{"a name with a backslash", packed(t, file(`a\data.json`, "{}")), `is not the name of a file inside the bundle`},
		{"a folder that climbs", packed(t, file("data.json", "{}"), special(tar.TypeDir, "../x/", "")), `"../x" is not the name of a file inside the bundle`},
		{"a name twice", packed(t, file("data.json", "{}"), file("data.json", "[]")), `the file "data.json" is there twice`},
		{"a name twice, in two spellings", packed(t, file("data.json", "{}"), file("./data.json", "[]")), `the file "data.json" is there twice`},
		{"a symbolic link", packed(t, special(tar.TypeSymlink, "data.json", "/etc/passwd")), `"data.json" is a symbolic link: only regular files are read`},
		{"a hard link", packed(t, special(tar.TypeLink, "data.json", "other")), `"data.json" is a hard link: only regular files are read`},
		{"a device", packed(t, special(tar.TypeChar, "data.json", "")), `"data.json" is a device: only regular files are read`},
		{"a pipe", packed(t, special(tar.TypeFifo, "data.json", "")), `"data.json" is a pipe: only regular files are read`},
		{
			"too many entries",
			packed(t, file("a.rego", "a"), file("b.rego", "b"), file("c.rego", "c"), file("d.rego", "d")),
			"more than 3 entries",
		},
		{
			"too many bytes",
			packed(t, file("a.rego", strings.Repeat("a", 1<<20)), file("data.json", strings.Repeat("b", 3<<20))),
			`unpacked it is larger than 3145728 bytes (at "data.json")`,
		},
		{
			"a bomb",
			packed(t, file("data.json", strings.Repeat(" ", 2<<20))),
			`unpacked it is more than 200 times as large as packed (at "data.json")`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := archive.Read(c.data, archive.Limits{Entries: 3, Bytes: 3 << 20}, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func flipped(data []byte, at int) []byte {
	data = bytes.Clone(data)
	data[at] ^= 0xff
	return data
}

// No bytes crash it, and what it accepts is what the lenient readers see too.
func FuzzRead(f *testing.F) {
	good := packed(f, file("/.manifest", `{"roots":["a"]}`), file("a/data.json", "{}"), special(tar.TypeDir, "b/", ""))
	f.Add(good)
	f.Add(good[:len(good)-8])
	f.Add(append(bytes.Clone(good), good...))
	f.Add(packed(f, file("../x", "x")))
	f.Fuzz(func(t *testing.T, data []byte) {
		files, err := archive.Read(data, archive.Limits{Bytes: 1 << 20}, nil)
		if err != nil {
			return
		}
		zr, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("accepted what gzip refuses: %v", err)
		}
		tr := tar.NewReader(zr)
		var lenient []archive.File
		for {
			h, err := tr.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("accepted what tar refuses: %v", err)
			}
			if h.Typeflag != tar.TypeReg {
				continue
			}
			content, err := io.ReadAll(tr)
			if err != nil {
				t.Fatal(err)
			}
			name := strings.TrimPrefix(strings.TrimPrefix(h.Name, "/"), "./")
			lenient = append(lenient, archive.File{Name: name, Data: content})
		}
		if len(lenient) != len(files) {
			t.Fatalf("got %d files, a lenient reader sees %d", len(files), len(lenient))
		}
		for i := range files {
			if files[i].Name != lenient[i].Name || !bytes.Equal(files[i].Data, lenient[i].Data) {
				t.Errorf("file %d: got %q, a lenient reader sees %q", i, files[i].Name, lenient[i].Name)
			}
		}
	})
}

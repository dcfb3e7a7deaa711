// Package archive reads a bundle's .tar.gz strictly: one gzip member with a right
// checksum and nothing behind it, a tar with its end marker, files of plain local
// names given once, within limits. A file that was cut off, grew, or was put
// together to be read in two ways is an error, not half a bundle.
package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

const (
	blockSize = 512
	endMarker = 2 * blockSize
	// ratioFloor is the size up to which the ratio is not looked at: the padding of a
	// small tar alone is beyond any honest ratio.
	ratioFloor = 1 << 20
)

// Limits bound what one bundle may hold. A zero field is its default.
type Limits struct {
	Entries int   `yaml:"entries"` // files and folders; 0 means 20,000
	Bytes   int64 `yaml:"bytes"`   // of all files together, unpacked; 0 means 1 GiB
	Ratio   int64 `yaml:"ratio"`   // unpacked to packed, of what is larger than 1 MiB; 0 means 200
}

// WithDefaults fills in the defaults.
func (l Limits) WithDefaults() Limits {
	if l.Entries == 0 {
		l.Entries = 20_000
	}
	if l.Bytes == 0 {
		l.Bytes = 1 << 30
	}
	if l.Ratio == 0 {
		l.Ratio = 200
	}
	return l
}

// File is one file of a bundle.
type File struct {
	Name string // with slashes, local, clean
	Data []byte
}

// Read unpacks the archive, in its own order. keep says which files are wanted
// (nil: all); the others are held to the same rules and forgotten. An error says
// what is wrong with the archive; nothing of it is then to be used.
func Read(packed []byte, limits Limits, keep func(name string) bool) ([]File, error) {
	limits = limits.WithDefaults()
	src := bytes.NewReader(packed) // a ByteReader: gzip takes no byte more than its own
	zr, err := gzip.NewReader(src)
	if err != nil {
		return nil, fmt.Errorf("gzip: %w", short(err))
	}
	zr.Multistream(false)
	u := &unpacker{
		// What surrounds the files (headers, padding) is limited too.
		stream:   &counter{r: zr, left: limits.Bytes + int64(limits.Entries)*8*blockSize},
		limits:   limits,
		maxRatio: max(ratioFloor, saturated(int64(len(packed)), limits.Ratio)),
		seen:     map[string]struct{}{},
		keep:     keep,
	}
	if err := u.entries(); err != nil {
		return nil, err
	}
	if err := u.end(); err != nil {
		return nil, err
	}
	if src.Len() > 0 {
		return nil, fmt.Errorf("%d bytes stand behind the end of the gzip member", src.Len())
	}
	if len(u.seen) == 0 {
		return nil, errors.New("it holds no file")
	}
	return u.files, nil
}

func saturated(n, factor int64) int64 {
	if n > math.MaxInt64/factor {
		return math.MaxInt64
	}
	return n * factor
}

// unpacker goes through the entries of one tar.
type unpacker struct {
	stream   *counter
	limits   Limits
	maxRatio int64 // bytes that the ratio allows
	seen     map[string]struct{}
	keep     func(name string) bool
	files    []File
	size     int64 // of all files so far
	bodyAt   int64 // where the last entry's content ended
}

func (u *unpacker) entries() error {
	tr := tar.NewReader(u.stream)
	for n := 0; ; n++ {
		h, err := tr.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("tar: %w", short(err))
		case n == u.limits.Entries:
			return fmt.Errorf("more than %d entries", u.limits.Entries)
		}
		if err := u.entry(tr, h); err != nil {
			return err
		}
		u.bodyAt = u.stream.count
	}
}

func (u *unpacker) entry(tr *tar.Reader, h *tar.Header) error {
	switch h.Typeflag {
	case tar.TypeXGlobalHeader: // git archive writes one; it holds nothing
		return nil
	case tar.TypeDir:
		if h.Name == "./" || h.Name == "/" {
			return nil
		}
		_, err := localName(strings.TrimSuffix(h.Name, "/"))
		return err
	case tar.TypeReg:
	default:
		return fmt.Errorf("%q is %s: only regular files are read", h.Name, kind(h.Typeflag))
	}
	name, err := localName(h.Name)
	if err != nil {
		return err
	}
	if _, twice := u.seen[name]; twice {
		return fmt.Errorf("the file %q is there twice", name)
	}
	u.seen[name] = struct{}{}
	// A sparse file is as large as its header says, however few bytes it has.
	switch {
	case h.Size < 0 || h.Size > u.limits.Bytes-u.size:
		return fmt.Errorf("unpacked it is larger than %d bytes (at %q)", u.limits.Bytes, name)
	case h.Size > u.maxRatio-u.size:
		return fmt.Errorf("unpacked it is more than %d times as large as packed (at %q)", u.limits.Ratio, name)
	}
	u.size += h.Size
	if u.keep != nil && !u.keep(name) {
		_, err := io.Copy(io.Discard, tr)
		return named(name, err)
	}
	var b bytes.Buffer
	if _, err := io.Copy(&b, tr); err != nil {
		return named(name, err)
	}
	u.files = append(u.files, File{Name: name, Data: b.Bytes()})
	return nil
}

func named(name string, err error) error {
	if err != nil {
		return fmt.Errorf("%q: %w", name, short(err))
	}
	return nil
}

// end checks what the tar reader does not: that it stopped at the end marker and
// not at the end of the bytes, and that only zeros follow, up to the checksum.
func (u *unpacker) end() error {
	padded := (u.bodyAt + blockSize - 1) / blockSize * blockSize
	if u.stream.count < padded+endMarker {
		return errors.New("tar: it has no end marker")
	}
	rest := make([]byte, 32<<10)
	for {
		n, err := u.stream.Read(rest)
		if len(bytes.Trim(rest[:n], "\x00")) > 0 {
			return errors.New("something stands behind the tar's end marker")
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("gzip: %w", short(err))
		}
	}
}

// short names the commonest fault, a file that is not whole, in plain words.
func short(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errors.New("it is cut off")
	}
	return err
}

// localName is the name as a path inside the bundle. OPA's own writer puts a slash
// before every name, and tar a dot and a slash.
func localName(name string) (string, error) {
	local := strings.TrimPrefix(strings.TrimPrefix(name, "/"), "./")
	if strings.ContainsAny(local, "\\\x00") || !utf8.ValidString(local) ||
		!filepath.IsLocal(local) || path.Clean(local) != local || local == "." {
		return "", fmt.Errorf("%q is not the name of a file inside the bundle", name)
	}
	return local, nil
}

func kind(typeflag byte) string {
	switch typeflag {
	case tar.TypeLink:
		return "a hard link"
	case tar.TypeSymlink:
		return "a symbolic link"
	case tar.TypeChar, tar.TypeBlock:
		return "a device"
	case tar.TypeFifo:
		return "a pipe"
	default:
		return fmt.Sprintf("an entry of type %q", typeflag)
	}
}

// counter counts what was read, and stops at a limit.
type counter struct {
	r     io.Reader
	count int64
	left  int64
}

func (c *counter) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errors.New("unpacked it is larger than the limit")
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.count += int64(n)
	c.left -= int64(n)
	return n, err
}

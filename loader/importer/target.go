package importer

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rolegate/rolegate/loader"
	"github.com/rolegate/rolegate/loader/archive"
	"github.com/rolegate/rolegate/loader/document"
	"github.com/rolegate/rolegate/loader/importer/spool"
	"github.com/rolegate/rolegate/loader/rbac"
	"github.com/rolegate/rolegate/policy"
)

// mostFolders is up to how many nodes have a folder each; of more, the members stand
// in one file: a server reads no more than so many entries.
const mostFolders = 1000

const manifestName = ".manifest"

// target is the folder that is to be, and the one beside it where it is made.
type target struct {
	dir   string
	temp  string // holds bundle and what is sorted
	there bool   // dir is an earlier import
}

// newTarget refuses a folder in which anything would be lost.
func newTarget(dir string) (*target, error) {
	dir, err := wherever(dir)
	if err != nil {
		return nil, err
	}
	there, err := replaceable(dir)
	if err != nil {
		return nil, err
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+"-*")
	if err != nil {
		return nil, fmt.Errorf("beside %s: %w", dir, err)
	}
	t := &target{dir: dir, temp: temp, there: there}
	if err := os.Mkdir(t.bundle(), 0o755); err != nil {
		return nil, errors.Join(err, t.discard())
	}
	return t, nil
}

// wherever is the folder that a name means in the end: it will be renamed, and a link
// to it, or a name as ".", would be in the way.
func wherever(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	end, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return dir, nil
	}
	return end, err
}

func (t *target) bundle() string { return filepath.Join(t.temp, "bundle") }

// discard removes what is not the bundle.
func (t *target) discard() error { return os.RemoveAll(t.temp) }

// replaceable says whether dir is there, and an import made all of it.
func replaceable(dir string) (there bool, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if len(entries) == 0 {
		return true, nil
	}
	text, err := os.ReadFile(filepath.Join(dir, manifestName))
	var m struct {
		Metadata struct {
			From string `json:"imported_from"`
		} `json:"metadata"`
	}
	if err != nil || json.Unmarshal(text, &m) != nil || m.Metadata.From == "" {
		return false, fmt.Errorf("%s is not empty, and no import made it", dir)
	}
	return true, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		name = filepath.ToSlash(name)
		if err == nil && name != manifestName && (!strings.HasPrefix(name, "rbac/") || e.Name() != "data.json") {
			return fmt.Errorf("%s is of an earlier import, but %s in it is not: move it elsewhere", dir, name)
		}
		return err
	})
}

// install puts the bundle in its place.
func (t *target) install() error {
	if !t.there {
		return os.Rename(t.bundle(), t.dir)
	}
	old := filepath.Join(t.temp, "old")
	if err := os.Rename(t.dir, old); err != nil {
		return err
	}
	if err := os.Rename(t.bundle(), t.dir); err != nil {
		return errors.Join(err, os.Rename(old, t.dir))
	}
	return nil
}

// writer writes the files of a bundle and knows its digest.
type writer struct {
	dir   string
	sum   hash.Hash
	files int
	bytes int64
}

func (w *writer) file(name string, text []byte) error {
	path := filepath.Join(w.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	w.wrote(name, text)
	return os.WriteFile(path, text, 0o644)
}

func (w *writer) wrote(name string, text []byte) {
	fmt.Fprintf(w.sum, "%q %d\n", name, len(text))
	w.sum.Write(text)
	w.files++
	w.bytes += int64(len(text))
}

// write writes the bundle and checks it: everything but the members as a server
// does, the members one by one with the same code, so that no number of them has to
// be in memory. What is wrong goes to the builder.
func (t *target) write(ctx context.Context, i *run, placed *spool.Sorter) (revision string, size int64, err error) {
	w := &writer{dir: t.bundle(), sum: sha256.New()}
	for _, f := range i.b.small() {
		text, err := expanded(f.value, f.levels)
		if err != nil {
			return "", 0, err
		}
		if err := w.file(f.root+"/data.json", text); err != nil {
			return "", 0, err
		}
	}
	if err := t.manifest(i, ""); err != nil {
		return "", 0, err
	}
	i.b.Count.Tenants.Mapped = len(i.b.nodes()) - 1
	world, err := i.b.check(ctx, t.bundle())
	if err != nil || i.b.problems.faults > 0 {
		return "", 0, err
	}
	m := &memberWriter{w: w, b: i.b, world: world, folders: i.b.folders(), open: map[string]*nodeFile{}}
	if err := m.all(placed, i.beat(ctx)); err != nil {
		return "", 0, err
	}
	revision = i.v.Name + "-" + hex.EncodeToString(w.sum.Sum(nil))[:12]
	limits := archive.Limits{}.WithDefaults()
	if w.bytes > limits.Bytes || 2*w.files > limits.Entries {
		i.b.Warn(Place{}, CodeLimit, "", "raise bundles.limits of the servers that are to read it",
			"the bundle has %d bytes in %d files, more than a server reads unless it is told to", w.bytes, w.files)
	}
	return revision, w.bytes, t.manifest(i, revision)
}

// manifest says what the bundle owns and where it comes from.
func (t *target) manifest(i *run, revision string) error {
	roots := []string{"rbac/roles", "rbac/tenants", "rbac/members"}
	for _, f := range i.b.small() {
		if !slices.Contains(roots, f.root) {
			roots = append(roots, f.root)
		}
	}
	slices.Sort(roots)
	o := ordered{}
	o.text("revision", revision)
	o.add("rego_version", 1, true)
	o.add("roots", roots, true)
	o.add("metadata", map[string]any{"imported_from": i.v.Name}, true)
	text, err := expanded(o, 1)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(t.bundle(), manifestName), text, 0o644)
}

// check reads a bundle as a server does, and answers what its members may refer to.
func (b *Builder) check(ctx context.Context, dir string) (rbac.World, error) {
	set, err := loader.Open(ctx, loader.Config{Dir: dir})
	found := set.Warnings
	if problems, ok := errors.AsType[policy.Problems](err); ok {
		found = problems
	} else if err != nil {
		return rbac.World{}, err
	}
	for _, p := range found {
		at := b.origin(p.Path)
		b.problems.add(at, p.Warning, p.Code, p.Subject, p.Hint, p.Message+placeInBundle(p.Path))
	}
	if err != nil {
		return rbac.World{}, nil //nolint:nilerr // the problems are with the builder
	}
	return rbac.NewWorld(set.Snapshot.Data()["rbac"]), nil
}

// placeInBundle names what a problem of the bundle is about: its line is one that the
// user has not seen.
func placeInBundle(path []string) string {
	if len(path) < 2 {
		return ""
	}
	return " (at " + strings.Join(path[1:], " → ") + ")"
}

// origin is where in the export a value of the bundle comes from.
func (b *Builder) origin(path []string) Place {
	if len(path) < 3 {
		return Place{}
	}
	switch path[1] {
	case "roles":
		if r := b.roles[path[2]]; r != nil {
			return r.At
		}
	case "tenants":
		if t := b.tenants[path[2]]; t != nil {
			return t.At
		}
	case "catalog":
		if len(path) > 3 && b.catalog[path[2]][path[3]] != nil {
			return b.catalog[path[2]][path[3]].At
		}
	}
	return Place{}
}

// folders are the nodes whose members have a folder of their own.
func (b *Builder) folders() map[string]bool {
	nodes := b.nodes()
	if len(nodes) > mostFolders {
		return nil
	}
	alike := map[string]int{} // a system may not tell capitals from small letters
	for _, n := range nodes {
		alike[strings.ToLower(n)]++
	}
	out := map[string]bool{}
	for _, n := range nodes {
		if folderName(n) && alike[strings.ToLower(n)] == 1 {
			out[n] = true
		}
	}
	return out
}

// memberWriter writes members as they come, by node and id.
type memberWriter struct {
	w       *writer
	b       *Builder
	world   rbac.World
	folders map[string]bool
	open    map[string]*nodeFile // the node's own, and under "" the one of all others
}

// nodeFile is a file of members that is being written.
type nodeFile struct {
	name string
	f    *os.File
	buf  *bufio.Writer
	sum  hash.Hash
	node string // of the last line
	size int64
	any  bool
}

func (n *nodeFile) write(text ...string) {
	for _, s := range text {
		_, _ = n.buf.WriteString(s) // an error stays until Flush
		_, _ = n.sum.Write([]byte(s))
		n.size += int64(len(s))
	}
}

func (m *memberWriter) all(placed *spool.Sorter, beat func() error) error {
	err := groups(placed, func(list []Member) error {
		if err := beat(); err != nil {
			return err
		}
		return m.one(merged(list))
	})
	for _, name := range slices.Sorted(maps.Keys(m.open)) {
		err = errors.Join(err, m.close(name))
	}
	return err
}

// one writes a member, or says what is wrong with it.
func (m *memberWriter) one(member Member) error {
	grants := grantData(member.Grants)
	text, err := compact(member.data(grants))
	if err != nil {
		return err
	}
	name, err := compact(member.ID)
	if err != nil {
		return err
	}
	m.check(member, text)
	m.b.Count.Members.Mapped++
	m.b.Count.Grants.Mapped += len(grants)
	n, err := m.fileOf(member.Node)
	if err != nil {
		return err
	}
	shared := n.name == "rbac/members/data.json"
	switch {
	case shared && !n.any:
		node, err := compact(member.Node)
		if err != nil {
			return err
		}
		n.write("{\n", string(node), ": {\n")
	case shared && n.node != member.Node:
		node, err := compact(member.Node)
		if err != nil {
			return err
		}
		n.write("\n},\n", string(node), ": {\n")
	case n.any:
		n.write(",\n")
	default:
		n.write("{\n")
	}
	n.node, n.any = member.Node, true
	n.write("  ", string(name), ": ", string(text))
	return nil
}

// fileOf opens the file of a node, and closes that of the node before.
func (m *memberWriter) fileOf(node string) (*nodeFile, error) {
	key, name := "", "rbac/members/data.json"
	if m.folders[node] {
		key, name = node, "rbac/members/"+node+"/data.json"
	}
	if n, ok := m.open[key]; ok {
		return n, nil
	}
	for other := range m.open {
		if other != "" && key != "" {
			if err := m.close(other); err != nil {
				return nil, err
			}
		}
	}
	path := filepath.Join(m.w.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	n := &nodeFile{name: name, f: f, buf: bufio.NewWriterSize(f, 256<<10), sum: sha256.New()}
	m.open[key] = n
	return n, nil
}

func (m *memberWriter) close(key string) error {
	n := m.open[key]
	delete(m.open, key)
	n.write("\n}\n")
	if n.name == "rbac/members/data.json" {
		n.write("}\n")
	}
	m.w.files++
	m.w.bytes += n.size
	fmt.Fprintf(m.w.sum, "%q %x\n", n.name, n.sum.Sum(nil))
	return errors.Join(n.buf.Flush(), n.f.Close())
}

// check holds a member, as it is written, against what a server refuses or warns of.
func (m *memberWriter) check(member Member, text []byte) {
	record, err := document.JSON(text)
	if fault, ok := errors.AsType[*document.Error](err); ok {
		m.b.Fault(member.At, fault.Code, member.ID, fault.Hint, "what would be written: %s", fault.Message)
		return
	}
	doc := map[string]any{"members": map[string]any{member.Node: map[string]any{member.ID: record}}}
	for _, f := range slices.Concat(rbac.Shape(doc), m.world.Members(doc)) {
		m.b.problems.add(member.At, f.Warning, f.Code, f.Subject, f.Hint, f.Message)
	}
}

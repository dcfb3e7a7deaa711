package loader

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/loader/archive"
	"github.com/rolegate/rolegate/loader/rbac"
	"github.com/rolegate/rolegate/policy"
)

// Codes of what is wrong with a bundle before its Rego is compiled and its roles
// are checked. Documents bring their own (package document).
const (
	codeArchive      = "bad_archive"    // not to be unpacked
	codeManifest     = "bad_manifest"   // of another form
	codeUnreadable   = "unreadable"     // the system says no
	codeEmpty        = "empty_bundle"   // holds nothing that decides
	codeUnsupported  = "unsupported"    // a feature of OPA's bundles that is not read
	codeRegoVersion  = "rego_v0"        // Rego of the old version
	codeDataConflict = "data_conflict"  // two files give one value
	codeOutsideRoots = "outside_roots"  // data or a package that the bundle does not own
	codeRootsOverlap = "roots_overlap"  // two bundles own one path
	codeEntrypoint   = "bad_entrypoint" // no answer where requests are asked
)

// kind is what a file of a bundle is.
type kind uint8

const (
	kindOther kind = iota // not read
	kindManifest
	kindData
	kindRego
	kindTest
	kindCases
	kindRefused // read by OPA, not by us, and not to be passed over
)

// kindOf tells by the name, as OPA does. What lies in a folder that begins with a
// dot is other.
func kindOf(name string) kind {
	dir, base := path.Split(name)
	for segment := range strings.SplitSeq(dir, "/") {
		if strings.HasPrefix(segment, ".") {
			return kindOther
		}
	}
	switch base {
	case manifestName:
		return kindManifest
	case "data.json", "data.yaml", "data.yml":
		return kindData
	case "patch.json", ".manifest.pb":
		return kindRefused
	}
	switch {
	case strings.HasPrefix(base, "."):
		return kindOther
	case strings.HasSuffix(base, "_test.rego"):
		return kindTest
	case strings.HasSuffix(base, ".rego"):
		return kindRego
	case CaseFile(name):
		return kindCases
	default:
		return kindOther
	}
}

func wanted(name string) bool { return kindOf(name) != kindOther }

// decides says whether a file by its name makes the folder in which it lies a bundle.
func decides(name string) bool {
	k := kindOf(name)
	return k != kindOther && k != kindCases
}

// CaseFile says whether a file is one of worked cases, by its name: cases.json,
// any_cases.json, one in a folder named cases, or any of these in YAML.
func CaseFile(name string) bool {
	name = filepath.ToSlash(name)
	base := path.Base(name)
	stem, ext := strings.TrimSuffix(base, path.Ext(base)), path.Ext(base)
	switch ext {
	case ".json", ".yaml", ".yml":
		return stem != "data" && (stem == "cases" || strings.HasSuffix(stem, "_cases") || path.Base(path.Dir(name)) == "cases")
	default:
		return false
	}
}

// bundle is one bundle in its parsed form. It never changes.
type bundle struct {
	manifest
	name     string // of the file or the folder
	prefix   string // of the names of its files in messages: "" or name + "/"
	embedded bool   // the role library, which ships inside the program
	old      bool   // its Rego is v0 unless its manifest says otherwise
	digest   string // SHA-256 in hexadecimal, of all that was read
	modules  map[string]*ast.Module
	tests    map[string]*ast.Module
	cases    []CaseText
	data     map[string]any
	files    []dataFile
	sums     map[string][sha256.Size]byte // of every file that was read, by its name in the bundle
	source   source
}

// dataFile is one file of data, kept so that a value can be found in it again.
type dataFile struct {
	name string   // in the bundle
	dir  []string // the path below data where it stands
}

// source reads a file of a bundle once more, to say where in it a fault stands.
type source func(name string) ([]byte, error)

// version is what decisions are logged with: the revision, or else the beginning
// of the digest.
func (b *bundle) version() string {
	if b.revision != "" {
		return b.revision
	}
	return "sha256:" + b.digest[:12]
}

// digestOf is the digest of a bundle that is not one file.
func digestOf(files []archive.File) string {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%q %d\n", f.Name, len(f.Data))
		h.Write(f.Data)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// parse makes a bundle of its files, or says everything that is wrong with them.
func parse(b bundle, files []archive.File) (*bundle, policy.Problems) {
	b.modules, b.tests, b.data = map[string]*ast.Module{}, map[string]*ast.Module{}, map[string]any{}
	b.sums = make(map[string][sha256.Size]byte, len(files))
	texts := make(map[string][]byte, len(files))
	slices.SortFunc(files, func(x, y archive.File) int {
		if x.Name == manifestName || y.Name == manifestName { // it says how the others are read
			return cmp.Compare(index(y.Name == manifestName), index(x.Name == manifestName))
		}
		return cmp.Or(cmp.Compare(strings.Count(x.Name, "/"), strings.Count(y.Name, "/")), cmp.Compare(x.Name, y.Name))
	})
	var faults policy.Problems
	for _, f := range files {
		b.sums[f.Name], texts[f.Name] = sha256.Sum256(f.Data), f.Data
		faults = append(faults, b.add(f)...)
	}
	if len(faults) == 0 && len(b.modules) == 0 && len(b.files) == 0 {
		faults = policy.Problems{{Code: codeEmpty, Subject: b.name, Message: fmt.Sprintf("the bundle %q holds neither Rego nor data", b.name)}}
	}
	// While the texts are at hand, faults are looked up in them and not on the disk.
	at := b
	at.source = func(name string) ([]byte, error) { return texts[name], nil }
	if len(faults) == 0 {
		faults = placeFaults(rbac.Shape(b.data["rbac"]), []*bundle{&at})
		faults = append(faults, b.outside()...)
	}
	for i, p := range faults {
		if p.Code == codeDataConflict {
			faults[i].Hint = at.otherGiver(p)
		}
	}
	if len(faults) > 0 {
		return nil, place(faults, []*bundle{&at})
	}
	return &b, nil
}

func index(first bool) int {
	if first {
		return 1
	}
	return 0
}

// otherGiver names the other file that gives the value in a conflict.
func (b *bundle) otherGiver(p policy.Problem) string {
	for _, f := range b.files {
		if b.prefix+f.name == p.File || !(root{path: f.dir}).contains(p.Path) {
			continue
		}
		rest := p.Path[len(f.dir):]
		for _, at := range locate(b, f, [][]string{rest}) {
			if at.Found == len(rest) {
				return fmt.Sprintf("the other one is at %s:%d:%d", b.prefix+f.name, at.Key.Line, at.Key.Column)
			}
		}
	}
	return ""
}

func (b *bundle) add(f archive.File) policy.Problems {
	switch kindOf(f.Name) {
	case kindManifest:
		return b.addManifest(f)
	case kindData:
		return b.addData(f)
	case kindRego:
		return addModule(b.modules, b.prefix+f.Name, f.Data, b.versionOf(f.Name, b.old))
	case kindTest:
		return addModule(b.tests, b.prefix+f.Name, f.Data, b.versionOf(f.Name, b.old))
	case kindCases:
		b.cases = append(b.cases, CaseText{Name: b.prefix + f.Name, Text: f.Data})
		return nil
	case kindRefused:
		return policy.Problems{{
			Code: codeUnsupported, File: b.prefix + f.Name, Message: "delta bundles and manifests in protobuf are not read",
		}}
	default:
		return nil
	}
}

func (b *bundle) addManifest(f archive.File) (faults policy.Problems) {
	if f.Name != manifestName {
		return policy.Problems{{Code: codeManifest, File: b.prefix + f.Name, Message: "a manifest stands at the top of its bundle"}}
	}
	b.manifest, faults = readManifest(b.prefix+f.Name, f.Data)
	return faults
}

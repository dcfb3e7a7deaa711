package importer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rolegate/rolegate/loader/importer/spool"
)

// between separates the parts of a sorter's key; no id has it, as JSON writes it as
// an escape and [Builder.Member] refuses it.
const between = "\x00"

func encodeMember(m Member) ([]byte, error) { return json.Marshal(m) }

// decodeMember reads what encodeMember wrote. Only attributes hold numbers that must
// stay as they were written, and that takes a slower way.
func decodeMember(text []byte) (m Member, err error) {
	if err = json.Unmarshal(text, &m); err == nil && m.Attrs != nil {
		m = Member{}
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		err = d.Decode(&m)
	}
	if err != nil {
		return Member{}, fmt.Errorf("what was sorted: %w", err)
	}
	return m, nil
}

// addTo puts members into a sorter by their id, or by node and id.
func addTo(s *spool.Sorter, byNode bool, m Member) error {
	text, err := encodeMember(m)
	if err != nil {
		return err
	}
	key := m.ID
	if byNode {
		key = m.Node + between + m.ID
	}
	return s.Add(key, text)
}

// groups calls f with all members of one key, in order of the keys.
func groups(s *spool.Sorter, f func(list []Member) error) error {
	var list []Member
	last := ""
	err := s.Each(func(key string, value []byte) error {
		m, err := decodeMember(value)
		if err != nil {
			return err
		}
		if len(list) > 0 && key != last {
			if err := f(list); err != nil {
				return err
			}
			list = nil
		}
		last = key
		list = append(list, m)
		return nil
	})
	if err == nil && len(list) > 0 {
		err = f(list)
	}
	return err
}

// place hands each principal to the vendor and passes on what it makes of it. beat is
// called for each, and may end it.
func (b *Builder) place(v Vendor, parts, placed *spool.Sorter, beat func() error) error {
	return groups(parts, func(list []Member) error {
		if err := beat(); err != nil {
			return err
		}
		b.twice(list)
		if v.Place != nil {
			list = v.Place(list[0].ID, list)
		}
		for _, m := range list {
			if err := addTo(placed, true, m); err != nil {
				return err
			}
		}
		return nil
	})
}

// twice finds records that say the same sort of thing of one principal at one node.
func (b *Builder) twice(list []Member) {
	if len(list) == 1 {
		return
	}
	type sort struct{ from, node string }
	seen := map[sort]Place{}
	for _, m := range list {
		key := sort{m.From, m.Node}
		if before, ok := seen[key]; ok && m.From != "" {
			b.Fault(m.At, CodeDuplicate, m.ID, fmt.Sprintf("the first one is at %s", before), "there is a record of %q in %s already", m.ID, m.From)
			continue
		}
		seen[key] = m.At
	}
}

// merged is one record of all that was placed under one node and id.
func merged(list []Member) Member {
	out := list[0]
	for _, m := range list[1:] {
		if out.Kind == "" {
			out.Kind = m.Kind
		}
		if out.Email == "" {
			out.Email = m.Email
		}
		out.Attrs = join(out.Attrs, m.Attrs)
		out.SSO = join(out.SSO, m.SSO)
		out.Grants = append(out.Grants, m.Grants...)
	}
	return out
}

func join[V any](a, b map[string]V) map[string]V {
	if len(a) == 0 {
		return b
	}
	out := maps.Clone(b)
	if out == nil {
		return a
	}
	maps.Copy(out, a) // what was said first stands
	return out
}

// grantData has each role once; always outweighs any window.
func grantData(grants []Grant) map[string][]Window {
	out := map[string][]Window{}
	for _, g := range grants {
		before, ok := out[g.Role]
		switch {
		case ok && len(before) == 0:
		case len(g.Windows) == 0:
			out[g.Role] = []Window{}
		default:
			out[g.Role] = append(before, g.Windows...)
		}
	}
	for role, windows := range out {
		slices.SortFunc(windows, func(a, b Window) int { return slices.Compare(a[:], b[:]) })
		out[role] = slices.Compact(windows)
	}
	return out
}

// data is the record as data.rbac.members has it.
func (m Member) data(grants map[string][]Window) ordered {
	kind := m.Kind
	if kind == "" {
		kind = "user"
	}
	o := ordered{{"kind", kind}}
	o.text("email", m.Email)
	o.add("attrs", m.Attrs, len(m.Attrs) > 0)
	o.add("sso", m.SSO, len(m.SSO) > 0)
	o.add("grants", grants, len(grants) > 0)
	return o
}

// folderName says whether a node may be the name of a folder wherever a bundle is
// unpacked; others stand in a file together.
func folderName(node string) bool {
	const longest = 200
	if node == "" || len(node) > longest || node[0] == '.' || strings.HasSuffix(node, ".") {
		return false
	}
	for _, c := range node {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', 'A' <= c && c <= 'Z':
		case strings.ContainsRune("@%._-+=~", c):
		default:
			return false
		}
	}
	return true
}

package importer

import "slices"

// Vendor is how one system's export is read.
type Vendor struct {
	Name      string   // as the command line has it
	Lists     []string // members of a page that hold records: items
	Authority string   // of its tokens' issuers: bundle, token_roles or token_permissions
	Kinds     []Kind   // in the order in which a record is held against them

	// Page reads what stands around the records of a page, and is told how many these are.
	// nil: nothing there matters.
	Page func(o *Object, records int64) Page
	// Finish runs when every record was read, before the first Place. nil: nothing to do.
	Finish func()
	// Place makes the records of one principal of all that was said of it, in the order
	// in which it was read. nil: every part is a record.
	Place func(id string, parts []Member) []Member
}

// Kind is one sort of record.
type Kind struct {
	Name string // a plural noun: roles. The user may say it: roles=FILE
	// Is says whether a record is one, by its fields. nil: only when the user says so.
	Is func(o *Object) bool
	// Read takes the record in.
	Read func(o *Object)
}

// Page is what a page says of the list that it is a part of. The zero value says
// nothing.
type Page struct {
	Total int64 // records of the whole list
	Known bool  // Total is known
	More  bool  // there is a page behind this one
	Ends  bool  // this is known to be the last page
	Of    int64 // pages of the whole list, where a page does not say which one it is
}

// Vendors lists the names of the systems that are read.
func Vendors() []string {
	return []string{"wristband", "stytch", "frontegg", "waltid", "forgerock"}
}

// Authority is what the tokens of a system's issuers are believed about, "" when the
// system is not known.
func Authority(name string) string {
	v, _ := vendor(name, newBuilder(false))
	return v.Authority
}

// vendor answers the one of a name; false when there is none.
func vendor(name string, b *Builder) (Vendor, bool) {
	switch name {
	case "stytch":
		return stytch(b), true
	case "frontegg":
		return frontegg(b), true
	case "wristband":
		return wristband(b), true
	case "waltid":
		return waltid(b), true
	case "forgerock":
		return forgerock(b), true
	default:
		return Vendor{}, false
	}
}

// kindOf says what a record is; false when nothing says it.
func (v Vendor) kindOf(o *Object) (Kind, bool) {
	at := slices.IndexFunc(v.Kinds, func(k Kind) bool { return k.Is != nil && k.Is(o) })
	if at < 0 {
		return Kind{}, false
	}
	return v.Kinds[at], true
}

// named is the kind of a name.
func (v Vendor) named(name string) (Kind, bool) {
	at := slices.IndexFunc(v.Kinds, func(k Kind) bool { return k.Name == name })
	if at < 0 {
		return Kind{}, false
	}
	return v.Kinds[at], true
}

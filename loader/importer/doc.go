// Package importer makes a bundle of what another system exports: one file and one
// folder of test data per vendor.
//
// # How an import goes
//
// [Run] reads the files one record at a time, in any order. [Vendor.Kinds] say what
// a record is, by its fields or because the user named the file (roles=FILE), and
// read it: small things (roles, permissions, tenants, rules) go into the [Builder],
// members go through [Builder.Member] into a sorter that holds little in memory.
// When all is read, [Vendor.Finish] ties the small things together; then
// [Vendor.Place] is called once per principal with all that was said of it, in
// order of the ids, and answers its records under the names of the bundle. The
// bundle is written to a folder beside the wanted one, checked with the code of
// `rolegate validate`, and renamed.
//
// # What a vendor does
//
//	func acme(b *Builder) Vendor {
//		a := &acmeImport{b: b}
//		return Vendor{
//			Name: "acme", Lists: []string{"items"}, Authority: "bundle",
//			Kinds: []Kind{
//				{Name: "roles", Is: func(o *Object) bool { return o.Has("roleKey") }, Read: a.role},
//				{Name: "users", Is: func(o *Object) bool { return o.Has("userId") }, Read: a.user},
//			},
//			Finish: a.finish,
//			Place:  a.place,
//		}
//	}
//
// A field is read with o.Text("name"), o.Objects("roles") and the like: null is
// absent, another type is a fault, and what is read is known. o.Known("createdAt")
// names what is understood and has no place in a bundle. Every other field is counted
// as unknown. What cannot be mapped is o.Warn(field, code, …) and counted as left out;
// what makes the export unusable is o.Fault(field, code, …): the reading goes on, so
// that all faults are told, and nothing is written. A name that nothing bears is
// b.Dangling. For Finish and Place, where no object is at hand any more, keep o.At(field)
// and use b.Warn, b.Fault and b.Dangling.
//
// A vendor is made known in vendor.go: its name in [Vendors], its constructor in vendor.
// A case is testdata/NAME/WHAT.txtar: the files of an export, and as the last part what
// becomes of it (golden_test.go, -update writes it); the round trip through
// tokens and decisions is a test of the command.
//
// Before Finish the order of records is anybody's: what refers to another record is
// noted with its place and resolved in Finish (roles, rules) or in Place (members).
// Member.Node and Grant.Role may be the vendor's ids until Place answers the bundle's.
//
// Counting: what was read is counted where it is read (b.Count.Roles.Read++), what the
// rules give again where it is passed over (b.Count.Grants.Rederived++), what has no
// place where it is dropped (b.Count.Grants.LeftOut++). What is mapped the core counts.
package importer

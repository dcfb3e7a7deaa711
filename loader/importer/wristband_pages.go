package importer

import (
	"maps"
	"slices"
)

// pageBook holds what pages say against what was read, one kind of records at a
// time: a system that names all its lists alike says so for each kind by itself.
type pageBook struct {
	b     *Builder
	kinds map[string]*pages
	run   recordRun
}

// recordRun are the records of one kind in one file since the last page ended.
type recordRun struct {
	kind  string
	first Place
	count int64
}

func newPageBook(b *Builder) *pageBook { return &pageBook{b: b, kinds: map[string]*pages{}} }

// counting has the records of each kind counted.
func (p *pageBook) counting(kinds []Kind) []Kind {
	for i, k := range kinds {
		kinds[i].Read = func(o *Object) {
			if at := o.At(""); p.run.kind != k.Name || p.run.first.File != at.File {
				p.run = recordRun{kind: k.Name, first: at}
			}
			p.run.count++
			k.Read(o)
		}
	}
	return kinds
}

// page takes in what stands around the records that were just read, and answers how
// many these are; false when that is not known.
func (p *pageBook) page(o *Object, said Page) (count int64, ok bool) {
	run, at := p.run, o.At("")
	p.run = recordRun{}
	inside := run.first.File == at.File && (run.first.Line > at.Line || run.first.Line == at.Line && run.first.Column > at.Column)
	if !inside {
		return 0, false // no records, or some that stood alone before it
	}
	known, ok := p.kinds[run.kind]
	if !ok {
		known = &pages{known: true}
		p.kinds[run.kind] = known
	}
	known.count += run.count
	switch {
	case said.More:
		known.more++
		known.place = at
	case said.Ends || said.Known:
		known.ends++
		known.total += said.Total
		known.known = known.known && said.Known
		if known.more == 0 {
			known.place = at
		}
	default:
		known.known = false
	}
	return run.count, true
}

// finish tells what is missing.
func (p *pageBook) finish() {
	const hint = "export again, all pages, and give all of them"
	for _, kind := range slices.Sorted(maps.Keys(p.kinds)) {
		switch k := p.kinds[kind]; {
		case k.more > 0 && k.ends == 0:
			p.b.Fault(k.place, CodePage, kind, hint, "this page of %s announces another, and no last one was given", kind)
		case k.ends > 0 && k.known && k.count < k.total:
			p.b.Fault(k.place, CodePage, kind, hint, "a page of %s is missing: they should hold %d, and %d were given", kind, k.total, k.count)
		case k.ends > 0 && k.known && k.count > k.total:
			p.b.Fault(k.place, CodePage, kind, "is a page given twice?", "the pages of %s should hold %d, and %d were given", kind, k.total, k.count)
		}
	}
}

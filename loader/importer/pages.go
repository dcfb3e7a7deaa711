package importer

import (
	"maps"
	"slices"

	"github.com/rolegate/rolegate/loader/importer/stream"
)

// pageBook holds what pages say of their lists against what was read, one kind of records
// at a time: some systems name all their lists alike, and what is missing of one must not
// be made up for by another.
type pageBook struct {
	b     *Builder
	kinds map[string]*pages
	kind  string // of the record that was read last
	empty []Page // that end a list, and nothing says of which kind
}

// pages is what is known of the pages of one kind.
type pages struct {
	count int64                  // records in all of them
	total int64                  // records that there should be
	known bool                   // total is known of each list
	more  int                    // pages that announce another
	ends  int                    // pages that end a list
	sizes map[listSize]*listRead // of lists whose pages do not say which one they are
	place Place                  // of the last one that announces another, or else of the last one
}

// listSize is what a list says of itself in each page, and listRead what was given of it.
type listSize struct{ total, pages int64 }

type listRead struct {
	pages, records int64
	place          Place // of the first page
}

func newPageBook(b *Builder) *pageBook { return &pageBook{b: b, kinds: map[string]*pages{}} }

// page takes in what stands around the records that were just read. named is the kind that
// the user, or the name of the list, says these are of; "" when neither does.
func (p *pageBook) page(o *Object, item stream.Item, named string, said Page) {
	kind := named
	switch {
	case item.Count > 0:
		kind = p.kind
	case kind == "":
		if said.Ends {
			p.empty = append(p.empty, said)
		}
		return
	}
	known, ok := p.kinds[kind]
	if !ok {
		known = &pages{known: true}
		p.kinds[kind] = known
	}
	known.page(o.At(""), int64(item.Count), said)
}

func (k *pages) page(at Place, records int64, said Page) {
	switch {
	case said.More:
		k.more++
		k.count += records
		k.place = at
	case said.Of > 1 && said.Known && !said.Ends:
		if k.sizes == nil {
			k.sizes = map[listSize]*listRead{}
		}
		key := listSize{said.Total, said.Of}
		if k.sizes[key] == nil {
			k.sizes[key] = &listRead{place: at}
		}
		k.sizes[key].pages++
		k.sizes[key].records += records
	case said.Ends || said.Known:
		k.ends++
		k.count += records
		k.total += said.Total
		k.known = k.known && said.Known
		if k.more == 0 {
			k.place = at
		}
	default: // it may be a part of what others say the whole of
		k.known = false
	}
}

// finish tells what is missing. Lists of one kind are held together: each has one last
// page, and that says how many records the whole list has.
func (p *pageBook) finish() {
	const hint = "export again, all pages, and give all of them"
	for _, kind := range slices.Sorted(maps.Keys(p.kinds)) {
		k := p.kinds[kind]
		for key, read := range k.sizes {
			// Lists of one size look alike: there may be several.
			if read.pages%key.pages != 0 || read.records*key.pages != read.pages*key.total {
				p.b.Fault(read.place, CodePage, kind, hint, "a page is missing of %s: of lists of %d in %d pages, %d pages with %d were given",
					kind, key.total, key.pages, read.pages, read.records)
			}
		}
		p.end(k)
		switch {
		case k.more > 0 && k.ends == 0:
			p.b.Fault(k.place, CodePage, kind, hint, "this page of %s announces another, and no last one was given", kind)
		case k.ends > 0 && k.known && k.count < k.total:
			p.b.Fault(k.place, CodePage, kind, hint, "a page of %s is missing: they should hold %d, and %d were given", kind, k.total, k.count)
		case k.ends > 0 && k.known && k.count > k.total:
			p.b.Fault(k.place, CodePage, kind, "is a page given twice?", "the pages of %s should hold %d, and %d were given", kind, k.total, k.count)
		}
	}
}

// end ends a list with an empty page, where the only one that is open has as many records
// as the page says: a list whose last page is full may have one more behind it.
func (p *pageBook) end(k *pages) {
	open := k.count - k.total
	if k.more == 0 || open <= 0 {
		return
	}
	at := slices.IndexFunc(p.empty, func(e Page) bool { return e.Known && e.Total == open })
	if at < 0 {
		return
	}
	k.ends++
	k.total += open
	p.empty = slices.Delete(p.empty, at, at+1)
}

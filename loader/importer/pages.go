package importer

import "github.com/rolegate/rolegate/loader/importer/stream"

// pages is what is known of the pages under one name.
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

func (i *run) page(o *Object, item stream.Item) {
	if i.v.Page == nil {
		return
	}
	p := i.v.Page(o)
	known, ok := i.pages[item.List]
	if !ok {
		known = &pages{known: true}
		i.pages[item.List] = known
	}
	switch {
	case p.More:
		known.more++
		known.count += int64(item.Count)
		known.place = o.At("")
	case p.Of > 1 && p.Known && !p.Ends:
		if known.sizes == nil {
			known.sizes = map[listSize]*listRead{}
		}
		key := listSize{p.Total, p.Of}
		if known.sizes[key] == nil {
			known.sizes[key] = &listRead{place: o.At("")}
		}
		known.sizes[key].pages++
		known.sizes[key].records += int64(item.Count)
	case p.Ends || p.Known:
		known.ends++
		known.count += int64(item.Count)
		known.total += p.Total
		known.known = known.known && p.Known
		if known.more == 0 {
			known.place = o.At("")
		}
	}
}

// missingPages holds what the pages say of their lists against what there is. Lists
// of one name are held together: each has one last page, and that says how many
// records the whole list has.
func (i *run) missingPages() {
	for _, name := range i.v.Lists {
		p := i.pages[name]
		if p == nil {
			continue
		}
		const hint = "export again, all pages, and give all of them"
		for key, read := range p.sizes {
			// Lists of one size look alike: there may be several.
			if read.pages%key.pages != 0 || read.records*key.pages != read.pages*key.total {
				i.b.Fault(read.place, CodePage, name, hint, "a page is missing of %s: of lists of %d in %d pages, %d pages with %d were given",
					name, key.total, key.pages, read.pages, read.records)
			}
		}
		switch {
		case p.more > 0 && p.ends == 0:
			i.b.Fault(p.place, CodePage, name, hint, "this page of %s announces another, and no last one was given", name)
		case p.ends > 0 && p.known && p.count < p.total:
			i.b.Fault(p.place, CodePage, name, hint, "a page of %s is missing: they should hold %d, and %d were given", name, p.total, p.count)
		case p.ends > 0 && p.known && p.count > p.total:
			i.b.Fault(p.place, CodePage, name, "is a page given twice?", "the pages of %s should hold %d, and %d were given", name, p.total, p.count)
		}
	}
}

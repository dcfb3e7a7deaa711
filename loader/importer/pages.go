package importer

import (
	"math"

	"github.com/rolegate/rolegate/loader/importer/stream"
)

// pages is what is known of the pages under one name.
type pages struct {
	count int64   // records in all of them
	total int64   // records that there should be
	known bool    // total is known of each list
	more  int     // pages that announce another
	ends  int     // pages that end a list
	share float64 // records that the pages should hold that only say how many there are
	place Place   // of the last one that announces another, or else of the last one
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
	known.count += int64(item.Count)
	switch {
	case p.More:
		known.more++
		known.place = o.At("")
	case p.Of > 1 && p.Known && !p.Ends:
		known.ends++
		known.share += float64(p.Total) / float64(p.Of)
		known.place = o.At("")
	case p.Ends || p.Known:
		known.ends++
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
		p.total += int64(math.Round(p.share))
		const hint = "export again, all pages, and give all of them"
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

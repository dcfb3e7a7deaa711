package importer

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/rolegate/rolegate/loader/document"
	"github.com/rolegate/rolegate/loader/importer/stream"
)

// read takes in every record of every file. What is wrong with the text of a file
// ends that file only, so that the faults of all are told.
func (i *run) read(ctx context.Context) error {
	for _, f := range i.cfg.Files {
		i.done.Total += f.Size
	}
	before := int64(0)
	for _, f := range i.cfg.Files {
		size, err := i.file(ctx, f, before)
		if err != nil {
			return err
		}
		before += size
	}
	if i.done.Records == 0 && i.b.problems.faults == 0 {
		i.b.Fault(Place{}, CodeIncomplete, i.v.Name, "", "there is no record in what was given")
	}
	i.pages.finish()
	i.report()
	return nil
}

func (i *run) file(ctx context.Context, f File, before int64) (size int64, err error) {
	in, err := f.Open()
	if err != nil {
		return 0, err
	}
	defer in.Close()
	r := stream.New(in, i.v.Lists)
	for {
		if i.done.Records%reportEvery == 0 {
			if err := ctx.Err(); err != nil {
				return 0, err
			}
			i.done.Bytes = before + r.Offset()
			i.report()
		}
		item, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if fault, ok := errors.AsType[*document.Error](err); ok {
			i.b.textFault(f.Name, Place{}, fault)
			break
		}
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", f.Name, err)
		}
		i.item(f, item)
		if i.spooled != nil {
			return 0, i.spooled
		}
	}
	i.done.Bytes = before + r.Offset()
	return r.Offset(), nil
}

// textFault takes a reader's error in. Within a record its place counts from the
// record's.
func (b *Builder) textFault(file string, record Place, e *document.Error) {
	at := Place{File: file, Line: e.Line, Column: e.Column}
	hint := e.Hint
	if record.Line > 0 {
		hint = "" // it would name a place that counts from the record's
		if at.Line == 1 {
			at.Column += record.Column - 1
		}
		at.Line += record.Line - 1
	}
	code := e.Code
	if code == document.CodeJSON && e.Message == "a byte that is not UTF-8 in a string" {
		code = stream.CodeEncoding
	}
	b.Fault(at, code, "", hint, "%s", e.Message)
}

func (i *run) item(f File, item stream.Item) {
	at := Place{File: f.Name, Line: item.Line, Column: item.Column}
	value, err := document.JSON(item.Raw)
	if fault, ok := errors.AsType[*document.Error](err); ok {
		i.b.textFault(f.Name, at, fault)
		return
	}
	fields, ok := value.(map[string]any)
	if !ok {
		return // an item is an object
	}
	rec := &record{of: f.Of, at: at, raw: item.Raw}
	o := &Object{b: i.b, record: rec, fields: fields}
	if item.Page {
		i.page(f, o, item)
	} else {
		i.take(f, o)
	}
	rec.raw = nil
}

func (i *run) page(f File, o *Object, item stream.Item) {
	if i.v.Page == nil {
		return
	}
	named := f.Kind
	if kind, ok := i.v.named(item.List); ok && named == "" {
		named = kind.Name
	}
	i.pages.page(o, item, named, i.v.Page(o, int64(item.Count)))
}

func (i *run) take(f File, o *Object) {
	i.done.Records++
	kind, ok := i.v.named(f.Kind)
	if !ok {
		kind, ok = i.v.kindOf(o)
	}
	if !ok {
		i.stranger(o)
		return
	}
	o.record.kind, i.pages.kind = kind.Name, kind.Name
	kind.Read(o)
	o.unread()
}

// stranger says what is known about a record that the vendor does not know.
func (i *run) stranger(o *Object) {
	for _, name := range Vendors() {
		if name == i.v.Name {
			continue
		}
		other, _ := vendor(name, newBuilder(false))
		if kind, ok := other.kindOf(o); ok {
			i.b.Fault(o.At(""), CodeOther, i.v.Name, "one import reads the files of one system",
				"this is no record of %s: it looks like one of %s, in its %s", i.v.Name, name, kind.Name)
			return
		}
	}
	i.b.Fault(o.At(""), CodeUnknown, i.v.Name, "name what the file holds, as KIND=FILE, one of "+kindList(i.v.Kinds),
		"nothing says what this is: a record of %s with %s", i.v.Name, fieldList(o.Names()))
}

func fieldList(names []string) string {
	const most = 6
	switch {
	case len(names) == 0:
		return "no fields"
	case len(names) > most:
		return fmt.Sprintf("the fields %v and %d more", names[:most], len(names)-most)
	}
	return fmt.Sprintf("the fields %v", names)
}

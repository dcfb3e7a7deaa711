// Package spool sorts more than memory holds: what is added beyond a bound waits
// in files.
package spool

import (
	"bufio"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// defaultBytes are kept in memory before they go to a file.
const defaultBytes = 64 << 20

// Sorter orders values by their keys. Of equal keys the one that was added first
// comes first. It is for one goroutine.
type Sorter struct {
	dir   string
	bytes int

	arena   []byte
	entries []entry
	runs    []*os.File
}

type entry struct {
	start, key, value int // offset in the arena, lengths
}

// New keeps at most this many bytes in memory, 64 MiB for 0, and the rest in files in dir.
func New(dir string, bytes int) *Sorter {
	return &Sorter{dir: dir, bytes: cmp.Or(bytes, defaultBytes)}
}

// Add adds a value. Neither argument is kept.
func (s *Sorter) Add(key string, value []byte) error {
	s.entries = append(s.entries, entry{len(s.arena), len(key), len(value)})
	s.arena = append(append(s.arena, key...), value...)
	if len(s.arena) < s.bytes {
		return nil
	}
	return s.spill()
}

func (s *Sorter) key(e entry) []byte { return s.arena[e.start : e.start+e.key] }

func (s *Sorter) value(e entry) []byte { return s.arena[e.start+e.key : e.start+e.key+e.value] }

func (s *Sorter) sort() {
	slices.SortStableFunc(s.entries, func(a, b entry) int { return slices.Compare(s.key(a), s.key(b)) })
}

// spill writes what is in memory to a file, in order.
func (s *Sorter) spill() error {
	s.sort()
	f, err := os.CreateTemp(s.dir, "run-*")
	if err != nil {
		return fmt.Errorf("sort: %w", err)
	}
	s.runs = append(s.runs, f)
	w := bufio.NewWriterSize(f, 256<<10)
	var head []byte
	for _, e := range s.entries {
		head = binary.AppendUvarint(head[:0], uint64(e.key))
		head = binary.AppendUvarint(head, uint64(e.value))
		_, _ = w.Write(head) // an error stays until Flush
		_, _ = w.Write(s.arena[e.start : e.start+e.key+e.value])
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("sort: %w", err)
	}
	s.arena, s.entries = s.arena[:0], s.entries[:0]
	return nil
}

// Each calls f for everything in order. The value is valid during the call only.
func (s *Sorter) Each(f func(key string, value []byte) error) error {
	s.sort()
	if len(s.runs) == 0 {
		for _, e := range s.entries {
			if err := f(string(s.key(e)), s.value(e)); err != nil {
				return err
			}
		}
		return nil
	}
	if err := s.spill(); err != nil {
		return err
	}
	s.arena, s.entries = nil, nil
	return s.merge(f)
}

func (s *Sorter) merge(f func(key string, value []byte) error) error {
	var heads runs
	for i, file := range s.runs {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("sort: %w", err)
		}
		r := &run{in: bufio.NewReaderSize(file, 64<<10), number: i}
		more, err := r.advance()
		if err != nil {
			return err
		}
		if more {
			heads = append(heads, r)
		}
	}
	heap.Init(&heads)
	for len(heads) > 0 {
		r := heads[0]
		if err := f(string(r.key), r.value); err != nil {
			return err
		}
		more, err := r.advance()
		switch {
		case err != nil:
			return err
		case more:
			heap.Fix(&heads, 0)
		default:
			heap.Pop(&heads)
		}
	}
	return nil
}

// Close removes the files.
func (s *Sorter) Close() error {
	var errs []error
	for _, f := range s.runs {
		errs = append(errs, f.Close(), os.Remove(f.Name()))
	}
	s.runs, s.arena, s.entries = nil, nil, nil
	return errors.Join(errs...)
}

// run is one file, standing at its next value.
type run struct {
	in         *bufio.Reader
	number     int
	buf        []byte
	key, value []byte
}

func (r *run) advance() (more bool, err error) {
	key, err := binary.ReadUvarint(r.in)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("sort: %w", err)
	}
	value, err := binary.ReadUvarint(r.in)
	if err != nil {
		return false, fmt.Errorf("sort: %w", err)
	}
	r.buf = slices.Grow(r.buf[:0], int(key+value))[:key+value]
	if _, err := io.ReadFull(r.in, r.buf); err != nil {
		return false, fmt.Errorf("sort: %w", err)
	}
	r.key, r.value = r.buf[:key], r.buf[key:]
	return true, nil
}

// runs is a heap by key, then by age.
type runs []*run

func (h runs) Len() int { return len(h) }

func (h runs) Less(i, j int) bool {
	return cmp.Or(slices.Compare(h[i].key, h[j].key), cmp.Compare(h[i].number, h[j].number)) < 0
}

func (h runs) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push is for package heap.
func (h *runs) Push(x any) { *h = append(*h, x.(*run)) }

// Pop is for package heap.
func (h *runs) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

package loader

import (
	"errors"
	"io/fs"
	"os"
	"sync"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/zap"
)

// watch turns events in folders into one word: look. What an event is about is
// never asked: a swap of links names other files than those that change, and an
// overflow names none.
type watch struct {
	log       *zap.Logger
	watcherOf func() (*fsnotify.Watcher, error)
	dirty     chan struct{} // holds one: there is something to look at
	watcher   *fsnotify.Watcher
	told      bool // that there is no watcher
	missing   bool // a folder could not be watched
	watched   map[inode]string
	drained   sync.WaitGroup
}

// newWatch makes a watch. Without a watcher (a user may have 128 of them) it never
// calls: what is on the disk is then found by looking now and then.
func newWatch(watcherOf func() (*fsnotify.Watcher, error), log *zap.Logger) *watch {
	w := &watch{log: log, watcherOf: watcherOf, dirty: make(chan struct{}, 1)}
	w.renew()
	return w
}

// renew asks for a watcher if there is none.
func (w *watch) renew() {
	if w.watcher != nil {
		return
	}
	watcher, err := w.watcherOf()
	if err != nil {
		if !w.told {
			w.told = true
			w.log.Warn("no watcher to be had: bundles are looked at now and then", zap.Error(err))
		}
		return
	}
	w.watcher, w.told, w.watched = watcher, false, map[inode]string{}
	w.drained.Go(func() { w.drain(watcher) })
}

// drain empties both channels until the watcher is closed. Errors that nobody
// reads would stop all events for ever.
func (w *watch) drain(watcher *fsnotify.Watcher) {
	for {
		select {
		case _, ok := <-watcher.Events:
			if !ok {
				return
			}
		case _, ok := <-watcher.Errors:
			if !ok {
				return
			}
		}
		w.notify()
	}
}

func (w *watch) notify() {
	select {
	case w.dirty <- struct{}{}:
	default:
	}
}

// sync watches these folders and no others. A folder that was replaced under its
// name is another inode and is watched anew; one that the watcher lost (it does
// not say so) too. added says that a folder is watched which was not before.
func (w *watch) sync(folders []string) (added bool) {
	if w.watcher == nil {
		return false
	}
	want := map[inode]string{}
	for _, folder := range folders {
		info, err := os.Stat(folder)
		if err != nil {
			continue // gone since it was found; its parent is watched
		}
		id := inodeOf(info)
		id.changed = inode{}.changed
		if id.number == 0 { // unknown here: by name then
			id.device = uint64(len(want))
		}
		if _, ok := want[id]; !ok {
			want[id] = folder
		}
	}
	alive := map[string]bool{}
	for _, path := range w.watcher.WatchList() {
		alive[path] = true
	}
	for id, path := range w.watched {
		if want[id] != path || !alive[path] {
			_ = w.watcher.Remove(path) // it may be gone already
			delete(w.watched, id)
		}
	}
	w.missing = false
	for id, path := range want {
		if _, ok := w.watched[id]; ok {
			continue
		}
		switch err := w.watcher.Add(path); {
		case err == nil:
			w.watched[id] = path
			added = true
		case !errors.Is(err, fs.ErrNotExist):
			w.missing = true
		}
	}
	return added
}

// complete says whether events come from everywhere that they should.
func (w *watch) complete() bool { return w.watcher != nil && !w.missing }

func (w *watch) close() {
	if w.watcher != nil {
		_ = w.watcher.Close() // nothing is to be done about it
	}
	w.drained.Wait()
}

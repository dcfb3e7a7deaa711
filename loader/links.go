package loader

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// maxLinks is how many links one path may lead through, as Linux has it.
const maxLinks = 40

var errLinks = errors.New("too many links")

// resolve follows the links in a path, one by one. It answers the real path and
// the folders that hold the links and the target: an event in any of them may mean
// that the path leads to something else now. After an error the folders are those
// up to there.
func resolve(path string) (target string, folders []string, err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", nil, err
	}
	volume := filepath.VolumeName(abs)
	here := volume + string(filepath.Separator)
	rest := split(abs[len(volume):])
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == "." {
			continue
		}
		if name == ".." {
			here = filepath.Dir(here)
			continue
		}
		next := filepath.Join(here, name)
		link, err := os.Readlink(next)
		if err != nil { // not a link, or nothing there: the next step says so
			if len(rest) == 0 {
				folders = append(folders, here)
			}
			if _, err := os.Lstat(next); err != nil {
				return "", append(folders, here), err
			}
			here = next
			continue
		}
		links++
		if links > maxLinks {
			return "", folders, fmt.Errorf("%w in %s", errLinks, path)
		}
		folders = append(folders, here)
		if filepath.IsAbs(link) {
			here = volume + string(filepath.Separator)
		}
		rest = append(split(link), rest...)
	}
	return here, folders, nil
}

func split(path string) []string {
	return strings.FieldsFunc(filepath.ToSlash(path), func(r rune) bool { return r == '/' })
}

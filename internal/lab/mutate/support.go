package main

import "strings"

// The names under which an instrumented program is told what to do. The first holds
// the number of the mutant that it is; the second a file with one byte for each
// mutant, in which it notes those that it comes by.
const (
	whichVariable = "ROLEGATE_MUTANT"
	seenVariable  = "ROLEGATE_MUTANTS_SEEN"
)

// support is what each instrumented package gets beside its own files. What is seen is
// written into memory that is the file's, so that it is there however the program ends.
func support(pkg string) []byte {
	return []byte(strings.NewReplacer("$PACKAGE", pkg, "$WHICH", whichVariable, "$SEEN", seenVariable).Replace(`package $PACKAGE

import (
	"cmp"
	"os"
	"strconv"
	"syscall"
)

var mutateWhich, mutateSeen = mutateBegin()

func mutateBegin() (which int, seen []byte) {
	which, _ = strconv.Atoi(os.Getenv("$WHICH"))
	name := os.Getenv("$SEEN")
	if name == "" {
		return which, nil
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		panic(err)
	}
	info, err := f.Stat()
	if err != nil {
		panic(err)
	}
	seen, err = syscall.Mmap(int(f.Fd()), 0, int(info.Size()), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	_ = f.Close()
	return which, seen
}

func mutateIs(n int) bool {
	if mutateSeen != nil {
		mutateSeen[n] = 1
	}
	return n == mutateWhich
}

func mutateLess[T cmp.Ordered](n int, a, b T) bool {
	if mutateIs(n) {
		return a <= b
	}
	return a < b
}

func mutateLessEqual[T cmp.Ordered](n int, a, b T) bool {
	if mutateIs(n) {
		return a < b
	}
	return a <= b
}

func mutateGreater[T cmp.Ordered](n int, a, b T) bool {
	if mutateIs(n) {
		return a >= b
	}
	return a > b
}

func mutateGreaterEqual[T cmp.Ordered](n int, a, b T) bool {
	if mutateIs(n) {
		return a > b
	}
	return a >= b
}

func mutateInvert[T ~bool](n int, v T) T { return v != T(mutateIs(n)) }

type mutateInteger interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr
}

// 0 and 1 change places: of an enumeration they are the opposites.
func mutateCount[T mutateInteger](n int, v T) T {
	switch {
	case !mutateIs(n):
		return v
	case v == 1:
		return 0
	default:
		return v + 1
	}
}

func mutateWord[T ~string](n int, v T) T {
	if mutateIs(n) {
		return v + "~"
	}
	return v
}

func mutateEmpty[T any](n int, v T) T {
	if mutateIs(n) {
		return *new(T)
	}
	return v
}
`))
}

package main

import (
	"go/ast"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
)

// mutant is one small change of a program.
type mutant struct {
	file string // below the root of the module
	line int
	name string // file, function, operator and the changed text; no two are the same
}

// catalog numbers mutants, from 1: 0 is the program as it is.
type catalog struct {
	all   []mutant
	names map[string]bool
}

func newCatalog() *catalog { return &catalog{names: map[string]bool{}} }

// add names a mutant and answers its number.
func (c *catalog) add(file string, line int, function, operator, text string) int {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > longestText {
		text = strings.ToValidUTF8(text[:longestText], "") + "…"
	}
	base := file + " " + function + ": " + operator + " `" + text + "`"
	name := base
	for n := 2; c.names[name]; n++ {
		name = base + " " + strconv.Itoa(n)
	}
	c.names[name] = true
	c.all = append(c.all, mutant{file: file, line: line, name: name})
	return len(c.all)
}

// longestText is what a name shows of the changed text, in bytes.
const longestText = 100

// of answers a mutant by its number.
func (c *catalog) of(n int) mutant { return c.all[n-1] }

// functionName is how a name says where a change is: "(*Reply).allow".
func functionName(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return d.Name.Name
	}
	switch t := d.Recv.List[0].Type.(type) {
	case *ast.Ident:
		return t.Name + "." + d.Name.Name
	case *ast.StarExpr:
		if id, ok := t.X.(*ast.Ident); ok {
			return "(*" + id.Name + ")." + d.Name.Name
		}
	}
	return d.Name.Name
}

// below is a file's name below the root, with slashes.
func below(root, file string) string {
	rel, err := filepath.Rel(root, file)
	if err != nil {
		return file
	}
	return filepath.ToSlash(rel)
}

// source is a file that is being rewritten. Everything is inserted on the line where it
// stands, so that a failing test still names the right lines.
type source struct {
	text  []byte
	base  int // of the file in its file set
	front map[int][]string
	back  map[int][]string
	over  map[int]string // operators that are written over, by where they begin
}

func newSource(text []byte, f *token.File) *source {
	return &source{text: text, base: f.Base(), front: map[int][]string{}, back: map[int][]string{}, over: map[int]string{}}
}

func (s *source) offset(p token.Pos) int { return int(p) - s.base }

// between is the text as it was written.
func (s *source) between(from, to token.Pos) string {
	return string(s.text[s.offset(from):s.offset(to)])
}

func (s *source) of(n ast.Node) string { return s.between(n.Pos(), n.End()) }

// before inserts in front of what begins at p, behind what was inserted there already:
// the outer node comes first.
func (s *source) before(p token.Pos, text string) {
	s.front[s.offset(p)] = append(s.front[s.offset(p)], text)
}

// after inserts behind what ends at p: the inner node comes first.
func (s *source) after(p token.Pos, text string) {
	s.back[s.offset(p)] = append(s.back[s.offset(p)], text)
}

// comma writes a comma over an operator.
func (s *source) comma(p token.Pos, operator string) {
	s.over[s.offset(p)] = "," + strings.Repeat(" ", len(operator)-1)
}

// bytes is the rewritten file.
func (s *source) bytes() []byte {
	var b strings.Builder
	for i := 0; i <= len(s.text); i++ {
		for _, text := range s.back[i] {
			b.WriteString(text)
		}
		for _, text := range s.front[i] {
			b.WriteString(text)
		}
		if over, ok := s.over[i]; ok {
			b.WriteString(over)
			i += len(over) - 1
			continue
		}
		if i < len(s.text) {
			b.WriteByte(s.text[i])
		}
	}
	return []byte(b.String())
}

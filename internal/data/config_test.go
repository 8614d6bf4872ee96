package data

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseSize(t *testing.T) {
	for s, want := range map[string]Size{"1048576": 1 << 20, "512MiB": 512 << 20, "2GiB": 2 << 30, "1.5 GB": 15e8, "3kB": 3000, "7B": 7} {
		if got, err := ParseSize(s); err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "GiB", "-1MiB", "2XB", "1e30GB", "5 apples"} {
		if got, err := ParseSize(s); err == nil {
			t.Errorf("%q is %d", s, got)
		}
	}
}

// TestGlob: patterns find files at the depth that they say, sorted, and names are
// relative to where the pattern's first special character is.
func TestGlob(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{"b/1.txt", "a/2.txt", "a/deep/er/3.txt", "a/deep/x.jsonl", "4.txt"} {
		path := filepath.Join(dir, f)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for pattern, want := range map[string]string{
		"*/*.txt":        "a/2.txt b/1.txt",
		"**/*.txt":       "4.txt a/2.txt a/deep/er/3.txt b/1.txt",
		"**/deep/*":      "a/deep/x.jsonl",
		"a/**/[0-9].txt": "2.txt deep/er/3.txt",
		"a/2.txt":        "2.txt",
		"none*":          "",
	} {
		files, root, err := glob(filepath.Join(dir, filepath.FromSlash(pattern)))
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
		}
		var names []string
		for _, f := range files {
			name, err := filepath.Rel(root, f)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, filepath.ToSlash(name))
		}
		if got := strings.Join(names, " "); got != want || !slices.IsSorted(files) {
			t.Errorf("%s finds %q below %s, want %q", pattern, got, root, want)
		}
	}
	if _, _, err := glob(filepath.Join(dir, "**/a/**/x")); err == nil {
		t.Error("two ** were accepted")
	}
}

// TestLoadRefuses: a mistake in a configuration names the field, or the line.
func TestLoadRefuses(t *testing.T) {
	good := "out: x\ntokenizer: t\nsources:\n  - name: a\n    paths: [p]\n"
	for text, want := range map[string]string{
		strings.Replace(good, "out: x", "", 1):                           "out: missing",
		strings.Replace(good, "tokenizer: t", "", 1):                     "tokenizer: missing",
		"out: x\ntokenizer: t\n":                                         "sources: missing",
		good + "  - name: a\n    paths: [q]\n":                           "two sources",
		strings.Replace(good, "name: a", "name: ../a", 1):                "sources[0].name",
		strings.Replace(good, "    paths: [p]\n", "", 1):                 "sources[0] (a): paths: missing",
		good + "    weight: -1\n":                                        "sources[0].weight: -1",
		good + "    upsample: 0\n":                                       "sources[0].upsample: 0",
		good + "    weight: 1\n  - name: b\n    paths: [q]\n":            "source b: weight is missing",
		good + "    split: pages\n":                                      "split is \"pages\"",
		good + "valid: 1\n":                                              "valid: 1",
		good + "shard_tokens: 0\n":                                       "shard_tokens: 0",
		good + "memory: 1kB\n":                                           "memory: 1000 bytes",
		good + "memory: lots\n":                                          "memory: \"lots\"",
		good + "mix: {max_epochs: 0}\n":                                  "mix.max_epochs: 0",
		good + "dedup: {lines: {max_documents: 0}}\n":                    "dedup.lines.max_documents: 0",
		good + "decontaminate: {action: hide}\n":                         "decontaminate.action: \"hide\"",
		good + "decontaminate: {sets: [{name: x}]}\n":                    "decontaminate.sets[0].paths",
		good + "language: {keep: [xx]}\n":                                "language.keep[0]",
		good + "personal: {kinds: [shoe]}\n":                             "personal.kinds[0]",
		good + "clean: {gopher: {max_wrods: 3}}\n":                       "[6:18] unknown field \"max_wrods\"",
		strings.Replace(good, "    paths: [p]\n", "    pahts: [p]\n", 1): "[5:5] unknown field \"pahts\"",
		good + "seed: -1\n":                                              "[6:7]",
	} {
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path, nil); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q:\n%v\nwant %s", text, err, want)
		}
	}
}

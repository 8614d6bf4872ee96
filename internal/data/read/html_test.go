package read

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExtract: pages of the kinds that crawls hold, and what a reader would call
// their text.
func TestExtract(t *testing.T) {
	files, err := filepath.Glob("testdata/html/*.html")
	if err != nil || len(files) != 7 {
		t.Fatalf("%d pages, %v", len(files), err)
	}
	for _, f := range files {
		page, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(strings.TrimSuffix(f, ".html") + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		got, err := Extract(string(page))
		if err != nil || got.Text != strings.TrimSuffix(string(want), "\n") {
			t.Errorf("%s: %v\n--- got\n%s\n--- want\n%s", f, err, got.Text, want)
		}
	}
}
